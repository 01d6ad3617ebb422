"""What a verification finds, and what it makes of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
import zstandard

from fakes import MemorySigner
from holdfast.archive.digest import RowDigest
from holdfast.archive.writing import compressed
from holdfast.contracts.verify import CheckRequest, VerifyRequest
from holdfast.errors import (
    ArchiveDamaged,
    BackupIncomplete,
    PointNotRestorable,
    SignatureInvalid,
    UnknownPoint,
)
from holdfast.model.keys import GLOBALS, MANIFEST, SCHEMA, SIGNATURE, VERIFICATION, RunKeys
from holdfast.model.points import PointState
from holdfast.usecases.verify import plan as planning
from holdfast.usecases.verify.check import check_batch
from holdfast.usecases.verify.plan import plan_verification
from snapshot.rig import DATABASE, Rig
from snapshot.servers import Databases
from verify.looking import KEYS, first_chunk, flipped, forget_verification, verification


def test_digests_are_those_of_the_rows(small: Rig) -> None:
    point = small.backup()

    small.verify(point.id)

    expected = RowDigest(small.digest_keys.digest_key(DATABASE))
    expected.update("".join(f"{n}\tu{n}\n" for n in range(1000, 0, -1)).encode())
    found = {table.name: table for table in verification(small, point.id).tables}
    assert found["users"].digest == expected.finish().hex
    assert found["users"].rows == 1000


DAMAGES = {
    "one bit": flipped,
    "cut short": lambda body: body[:-1],
    "empty": lambda body: b"",
    "something appended": lambda body: body + b"\0",
    "other rows": lambda body: compressed(zstandard.decompress(body).replace(b"u1\n", b"u2\n", 1)),
    "a row less": lambda body: compressed(zstandard.decompress(body).split(b"\n", 1)[1]),
    "an enormous promise": lambda body: body[:4] + b"\xe0" + (1 << 40).to_bytes(8, "little") + body[9:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damage_of_a_chunk_fails_the_point_and_names_table_and_range(small: Rig, damage: str) -> None:
    point = small.backup()
    chunk = next(table for table in small.manifest(point.id).tables if table.name == "users").chunks[0]
    key = KEYS.chunk(chunk.sha256)
    small.archive.damage(key, DAMAGES[damage](small.archive.read(key)))

    verdict = small.verify(point.id)

    assert not verdict.intact
    assert [fault.what for fault in verdict.faults] == ["public.users (the whole table)"]
    failed = small.points.get(point.id)
    assert failed.state is PointState.FAILED
    assert "public.users" in failed.failure
    assert small.archive.find(KEYS.of_point(point.id, VERIFICATION)) is None


def test_a_missing_chunk_is_a_fault(small: Rig) -> None:
    point = small.backup()
    key = KEYS.chunk(first_chunk(small, point.id).sha256)
    small.archive.versions[key].clear()

    assert not small.verify(point.id).intact


def test_a_version_put_over_a_chunk_is_not_read(small: Rig) -> None:
    """Object Lock protects versions, not keys: the manifest pins the version that was written."""
    point = small.backup()
    key = KEYS.chunk(first_chunk(small, point.id).sha256)
    small.archive.delete(key)
    small.archive.put(key, b"forged", sha256=hashlib.sha256(b"forged").hexdigest())

    assert small.verify(point.id).intact


@pytest.mark.parametrize("name", [SCHEMA, GLOBALS])
def test_damage_beside_the_chunks_fails_the_point(small: Rig, name: str) -> None:
    point = small.backup()
    small.archive.damage(KEYS.of_point(point.id, name), b"something else")

    with pytest.raises(ArchiveDamaged, match=name):
        small.verify(point.id)

    assert small.points.get(point.id).state is PointState.FAILED


def test_a_manifest_that_was_changed_is_not_believed(small: Rig) -> None:
    point = small.backup()
    key = KEYS.of_point(point.id, MANIFEST)
    small.archive.damage(key, small.archive.read(key).replace(b'"rows":1000', b'"rows":1001', 1))

    with pytest.raises(SignatureInvalid):
        small.verify(point.id)

    assert small.points.get(point.id).state is PointState.FAILED


def test_a_manifest_signed_by_another_key_is_not_believed(small: Rig) -> None:
    point = small.backup()
    small.signer = MemorySigner()

    with pytest.raises(SignatureInvalid):
        small.verify(point.id)


def test_a_damaged_signature_is_not_believed(small: Rig) -> None:
    point = small.backup()
    small.archive.damage(KEYS.of_point(point.id, SIGNATURE), b"no signature")

    with pytest.raises(SignatureInvalid):
        small.verify(point.id)


def test_an_intact_point_may_be_verified_again(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)
    before = verification(small, point.id)

    assert small.verify(point.id).intact
    assert verification(small, point.id) == before


def test_a_proven_point_stays_proven_when_it_is_verified_again(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)
    small.points.advance(point.id, PointState.PROVEN)

    small.verify(point.id)

    assert small.points.get(point.id).state is PointState.PROVEN


def test_a_proven_point_that_was_damaged_since_fails(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)
    small.points.advance(point.id, PointState.PROVEN)
    small.archive.damage(KEYS.chunk(first_chunk(small, point.id).sha256), b"")

    assert not small.verify(point.id).intact
    assert small.points.get(point.id).state is PointState.FAILED


def test_nothing_is_concluded_while_a_batch_is_missing(small: Rig) -> None:
    point = small.backup()
    request = VerifyRequest(database=DATABASE, point_id=point.id, run="one")
    plan_verification(request, points=small.points, archive=small.archive, scratch=small.scratch, signer=small.signer)

    with pytest.raises(BackupIncomplete):
        small.conclude(request)

    assert small.points.get(point.id).state is PointState.CAPTURED


def test_the_results_of_another_point_are_not_counted(small: Rig, databases: Databases) -> None:
    first = small.backup()
    with databases.connect(small.parameters) as session:
        session.execute("CREATE TABLE more AS SELECT 1 AS n")
    second = small.backup()
    small.verify(first.id, run="one")

    with pytest.raises(BackupIncomplete, match="another point"):
        small.conclude(VerifyRequest(database=DATABASE, point_id=second.id, run="one"))


def test_an_unfinished_point_has_nothing_to_verify(small: Rig) -> None:
    started = small.start()

    with pytest.raises(PointNotRestorable, match="capturing"):
        small.verify(started.point_id)


def test_an_unknown_point_is_named(small: Rig) -> None:
    with pytest.raises(UnknownPoint, match="shop-20200101t000000z-000000"):
        small.verify("shop-20200101t000000z-000000")


def test_a_batch_that_was_checked_is_not_read_again(small: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    point = small.backup()
    small.verify(point.id, run="one")
    small.archive.versions.clear()

    check_batch(
        CheckRequest(database=DATABASE, point_id=point.id, run="one", batch=0),
        archive=small.archive,
        scratch=small.scratch,
        digest_keys=small.digest_keys,
    )


def test_digests_of_many_batches_add_up(shop: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    point = shop.backup()
    shop.verify(point.id, run="few")
    few = verification(shop, point.id)
    shop.archive.versions.pop(KEYS.of_point(point.id, VERIFICATION))
    forget_verification(shop, point.id)
    monkeypatch.setattr(planning, "BATCH_BYTES", 1)

    assert shop.verify(point.id, run="many").intact

    assert len(json.loads(shop.scratch.objects[RunKeys("verify", "many").items("check")])) > 10
    assert verification(shop, point.id).tables == few.tables


def test_another_digest_than_before_is_a_fault(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)
    key = KEYS.of_point(point.id, VERIFICATION)
    earlier = verification(small, point.id)
    changed = earlier.tables[0].model_copy(update={"digest": "0" * 32})
    forged = earlier.model_copy(update={"tables": (changed, *earlier.tables[1:])})
    small.archive.damage(key, forged.model_dump_json().encode())

    assert not small.verify(point.id).intact


def test_the_points_hash_in_the_catalogue_counts(small: Rig) -> None:
    point = small.backup()
    small.points.points[point.id] = replace(point, manifest_sha256="0" * 64)

    with pytest.raises(SignatureInvalid):
        small.verify(point.id)
