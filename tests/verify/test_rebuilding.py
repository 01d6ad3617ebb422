"""A catalogue that is made anew from what lies in a bucket alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from fakes import MemoryPoints, MemorySigner
from holdfast.contracts.rebuilding import RebuildRequest, Rebuilt
from holdfast.contracts.verify import Verification
from holdfast.model.keys import MANIFEST, SIGNATURE, VERIFICATION, vouching_name
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.usecases.catalogue.rebuild import Rebuilding
from snapshot.rig import DATABASE, Rig
from verify.looking import KEYS, first_chunk

LOST = {"execution": "", "reason": "", "workers": 0, "workers_why": "", "bytes_new": 0, "sealing": 0}
"""What no bucket tells of a point."""


def rebuilt(rig: Rig, points: MemoryPoints, *, after: str = "", seconds: float = 900) -> Rebuilt:
    return Rebuilding(
        points=points,
        archive=rig.archive,
        versions=rig.archive,
        signer=rig.signer,
        digest_keys=rig.digest_keys,
        seconds_left=lambda: seconds,
    ).run(RebuildRequest(database=DATABASE, after=after))


def verified(rig: Rig) -> RecoveryPoint:
    point = rig.backup()
    rig.verify(point.id)
    return rig.points.get(point.id)


def add_version(rig: Rig, key: str, body: bytes) -> None:
    """Store a newer version under *key*, as somebody may who may write and not remove."""
    before = rig.archive.versions.pop(key, [])
    rig.archive.put(key, body, sha256=hashlib.sha256(body).hexdigest())
    rig.archive.versions[key] = [*before, *rig.archive.versions[key]]


def test_an_intact_point_is_found_with_all_that_the_catalogue_knew_of_it(small: Rig) -> None:
    point, points = verified(small), MemoryPoints()

    found = rebuilt(small, points)

    assert found.intact == (point.id,)
    checked = Verification.model_validate_json(small.archive.read(KEYS.of_point(point.id, VERIFICATION))).checked_at
    again = replace(points.get(point.id), **LOST, intact_at=None)
    assert again == replace(point, **LOST, intact_at=None)
    assert points.get(point.id).intact_at == checked


def test_what_nobody_vouches_for_is_to_be_verified_and_then_intact(small: Rig) -> None:
    point, points = verified(small), MemoryPoints()
    code = KEYS.of_point(point.id, vouching_name(point.verification_sha256))
    del small.archive.versions[code]
    first = rebuilt(small, points)
    state = points.get(point.id).state
    small.points = points
    small.verify(point.id)

    assert (first.captured, state) == ((point.id,), PointState.CAPTURED)
    assert points.get(point.id).state is PointState.INTACT


def test_a_verification_that_arrives_later_makes_the_point_intact(small: Rig) -> None:
    point, points = verified(small), MemoryPoints()
    code = KEYS.of_point(point.id, vouching_name(point.verification_sha256))
    kept = small.archive.versions.pop(code)
    rebuilt(small, points)
    small.archive.versions[code] = kept

    found = rebuilt(small, points)

    assert (found.intact, points.get(point.id).state) == ((point.id,), PointState.INTACT)


def test_repeating_it_changes_nothing_and_what_the_catalogue_knows_stays(small: Rig) -> None:
    point = verified(small)
    small.points.advance(point.id, PointState.PROVEN, proven_at=point.intact_at)
    before = small.points.get(point.id)

    points = MemoryPoints()
    rebuilt(small, points)
    found = [rebuilt(small, each) for each in (small.points, points, points)]

    assert [(one.known, one.intact, one.left_out) for one in found] == [(1, (), ())] * 3
    assert small.points.get(point.id) == before


def another_key(rig: Rig, point: RecoveryPoint) -> None:
    rig.signer = MemorySigner()


def without_signature(rig: Rig, point: RecoveryPoint) -> None:
    del rig.archive.versions[KEYS.of_point(point.id, SIGNATURE)]


def without_a_chunk(rig: Rig, point: RecoveryPoint) -> None:
    del rig.archive.versions[KEYS.chunk(first_chunk(rig, point.id).sha256)]


def with_a_changed_manifest(rig: Rig, point: RecoveryPoint) -> None:
    key = KEYS.of_point(point.id, MANIFEST)
    body = rig.archive.read(key).replace(b'"tier":"', b'"tier": "', 1)
    del rig.archive.versions[key]
    add_version(rig, key, body)


def expired(rig: Rig, point: RecoveryPoint) -> None:
    add_version(rig, KEYS.removal(point.id), b"{}")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        pytest.param(another_key, "was not signed by the sealing key", id="another key"),
        pytest.param(without_signature, "was not signed by the sealing key", id="no signature"),
        pytest.param(with_a_changed_manifest, "was not signed by the sealing key", id="a changed manifest"),
        pytest.param(without_a_chunk, "1 of the ", id="a chunk is missing"),
        pytest.param(expired, "It has expired", id="expired"),
    ],
)
def test_what_is_damaged_forged_or_expired_is_listed_and_left_out(
    small: Rig, harm: Callable[[Rig, RecoveryPoint], None], reason: str
) -> None:
    point, points = verified(small), MemoryPoints()
    harm(small, point)

    found = rebuilt(small, points)

    assert points.newest_first(DATABASE) == []
    ((name, why),) = [(one.point, one.reason) for one in found.left_out]
    assert name == point.id
    assert reason in why


def test_newer_versions_of_somebody_else_hide_nothing(small: Rig) -> None:
    point, points = verified(small), MemoryPoints()
    for name in (MANIFEST, SIGNATURE, VERIFICATION):
        add_version(small, KEYS.of_point(point.id, name), b"{}")

    found = rebuilt(small, points)

    assert (found.intact, found.left_out) == ((point.id,), ())
    assert points.get(point.id).manifest_version == point.manifest_version


def test_a_verification_of_another_point_vouches_for_nothing(small: Rig) -> None:
    one, other, points = verified(small), verified(small), MemoryPoints()
    for name in (VERIFICATION, vouching_name(other.verification_sha256)):
        body = small.archive.read(KEYS.of_point(other.id, name))
        small.archive.versions.pop(KEYS.of_point(one.id, VERIFICATION), None)
        add_version(small, KEYS.of_point(one.id, name), body)

    found = rebuilt(small, points)

    assert (found.captured, found.intact) == ((one.id,), (other.id,))


def test_without_time_the_next_invocation_goes_on_after_the_last_manifest(small: Rig) -> None:
    ids, points = sorted(verified(small).id for _ in range(2)), MemoryPoints()

    first = rebuilt(small, points, seconds=1)
    second = rebuilt(small, points, after=first.after, seconds=1)

    assert (first.intact, first.after) == ((ids[0],), KEYS.of_point(ids[0], MANIFEST))
    assert (second.intact, second.after) == ((ids[1],), "")
