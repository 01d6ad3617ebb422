"""What a point's standing rests on: its own objects, pinned; and what becomes of damaged, failed and old ones."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.storage import Version
from holdfast.contracts.verify import CheckRequest, VerifyRequest
from holdfast.errors import BadRequest, PointNotRestorable, SignatureInvalid
from holdfast.model.keys import MANIFEST, SIGNATURE, VERIFICATION
from holdfast.model.points import PointState
from holdfast.usecases.verify.check import check_batch
from holdfast.usecases.verify.plan import plan_verification
from snapshot.rig import Rig
from verify.looking import KEYS, first_chunk, flipped, forget_verification


def test_a_verification_is_pinned_in_the_catalogue(small: Rig) -> None:
    point = small.backup()

    small.verify(point.id)

    pinned, key = small.points.get(point.id), KEYS.of_point(point.id, VERIFICATION)
    body = small.archive.read(key, pinned.verification_version)
    assert hashlib.sha256(body).hexdigest() == pinned.verification_sha256


def test_a_verification_put_over_the_pinned_one_is_not_read(small: Rig) -> None:
    point = small.backup()
    small.verify(point.id)
    key, pinned = KEYS.of_point(point.id, VERIFICATION), small.points.get(point.id)
    small.archive.delete(key)
    small.archive.put(key, b"{}", sha256=hashlib.sha256(b"{}").hexdigest())

    assert small.verify(point.id).intact
    assert small.points.get(point.id).verification_version == pinned.verification_version


def test_a_damaged_chunk_is_stored_anew_by_the_next_backup(small: Rig) -> None:
    first = small.backup()
    key = KEYS.chunk(first_chunk(small, first.id).sha256)
    small.archive.damage(key, flipped(small.archive.read(key)))
    assert not small.verify(first.id).intact

    second = small.backup()

    assert small.verify(second.id).intact
    assert not small.verify(first.id).intact


@pytest.mark.parametrize("step", ["plan", "check", "conclude"])
def test_a_point_of_another_database_is_refused_and_stays_what_it_is(small: Rig, step: str) -> None:
    point = small.backup()
    request = VerifyRequest(database="blog", point_id=point.id, run="one")
    calls = {
        "plan": lambda: plan_verification(
            request, points=small.points, archive=small.archive, scratch=small.scratch, signer=small.signer
        ),
        "check": lambda: check_batch(
            CheckRequest(**request.model_dump(), batch=0),
            archive=small.archive,
            scratch=small.scratch,
            digest_keys=small.digest_keys,
        ),
        "conclude": lambda: small.conclude(request),
    }

    with pytest.raises(BadRequest, match=f"{point.id} is not one of blog"):
        calls[step]()

    assert small.points.get(point.id).state is PointState.CAPTURED


def test_a_manifest_of_another_point_is_not_believed_although_we_signed_it(small: Rig) -> None:
    older, newer = small.backup(), small.backup()
    small.points.points[newer.id] = replace(newer, manifest_sha256=older.manifest_sha256)
    for name in (MANIFEST, SIGNATURE):
        small.archive.damage(KEYS.of_point(newer.id, name), small.archive.read(KEYS.of_point(older.id, name)))

    with pytest.raises(SignatureInvalid, match=f"The manifest of {newer.id} is that of {older.id}"):
        small.verify(newer.id)


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_a_delete_marker_beside_the_chunks_hides_nothing_that_is_pinned(small: Rig, name: str) -> None:
    point = small.backup()

    small.archive.delete(KEYS.of_point(point.id, name))

    assert small.verify(point.id).intact


def test_a_complete_point_that_failed_becomes_intact_when_it_is_read_back_whole(small: Rig) -> None:
    point = small.backup()
    small.points.advance(point.id, PointState.FAILED, failure="A bad day.")

    assert small.verify(point.id).intact

    found = small.points.get(point.id)
    assert (found.state, found.failure) == (PointState.INTACT, "")


def test_a_point_whose_backup_failed_has_nothing_to_verify(small: Rig) -> None:
    started = small.start()
    small.points.advance(started.point_id, PointState.FAILED, failure="The server went away.")

    with pytest.raises(PointNotRestorable, match="is failed"):
        small.verify(started.point_id)


def test_a_point_is_verified_after_its_retention_has_ended(small: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    point = small.backup()
    later = small.protected.retain_until(point) + timedelta(days=1)
    monkeypatch.setattr("snapshot.rig.now", lambda: later)
    small.archive.today = later

    assert small.verify(point.id).intact
    forget_verification(small, point.id)
    small.archive.delete(KEYS.of_point(point.id, VERIFICATION))

    assert small.verify(point.id).intact
    newest = small.archive.versions[KEYS.of_point(point.id, VERIFICATION)][-1]
    assert isinstance(newest, Version)
    assert newest.retain_until
    assert newest.retain_until > small.archive.today + timedelta(days=6)


def test_only_the_first_clean_verification_counts_as_a_backup_that_succeeded(small: Rig) -> None:
    point = small.backup()

    assert [small.verify(point.id).first for _ in range(2)] == [True, False]
