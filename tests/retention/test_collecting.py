"""Collecting chunks that no point pins: what goes, what stays, and when nothing at all is touched."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat

import pytest

from fakes import MemoryArchive
from holdfast.contracts.retention import Amount
from holdfast.errors import ArchiveDamaged, BackupAlreadyRunning, UnexpectedState
from holdfast.model.keys import MANIFEST, RunKeys
from holdfast.model.points import Mechanism, PointState
from retention.archives import DATABASE, KEYS, START, Shelf

GARBAGE = Amount(versions=1, bytes=4)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_what_no_point_pins_is_removed_and_the_rest_stays(shelf: Shelf) -> None:
    needed, loose = shelf.chunk("needed"), shelf.chunk("junk")
    shelf.point(needed)
    shelf.pass_days(31)

    collected = shelf.collect()

    assert (shelf.there(needed), shelf.there(loose)) == (True, False)
    assert (collected.finished, collected.removed, collected.garbage) == (True, GARBAGE, GARBAGE)
    assert shelf.points.lock_holder(DATABASE) is None


def test_a_receipt_tells_what_was_removed(shelf: Shelf) -> None:
    shelf.chunk("junk")
    shelf.pass_days(31)

    shelf.collect("weekly-1")

    receipt = json.loads(shelf.archive.read(KEYS.receipt("weekly-1")))
    assert receipt["removed"] == {"versions": 1, "bytes": 4}
    assert receipt["finished"]


def test_a_dry_run_counts_and_removes_nothing(shelf: Shelf) -> None:
    loose = shelf.chunk("junk")
    shelf.pass_days(31)

    collected = shelf.collect(dry_run=True)

    assert (collected.garbage, collected.removed, collected.finished) == (GARBAGE, Amount(), True)
    assert shelf.there(loose)
    assert KEYS.receipt("run") not in shelf.archive.versions


@pytest.mark.parametrize(
    ("days", "removed"), [(3, True), (3 - 1e-6, False), (0, False)], ids=["at the guard", "just before", "new"]
)
def test_nothing_younger_than_the_longest_backup_is_removed(shelf: Shelf, days: float, removed: bool) -> None:
    loose = shelf.chunk("junk", days=0)
    shelf.pass_days(days)

    collected = shelf.collect()

    assert shelf.there(loose) != removed
    assert (collected.young == GARBAGE) != removed


def test_what_a_lock_protects_is_counted_and_told(shelf: Shelf) -> None:
    loose = shelf.chunk("junk", days=30)
    shelf.pass_days(10)

    collected = shelf.collect()

    assert shelf.there(loose)
    assert (collected.locked, collected.removed) == (GARBAGE, Amount())
    assert collected.locked_until == START + timedelta(days=30)


@pytest.mark.parametrize(
    ("state", "kept"), [(state, state is not PointState.EXPIRED) for state in PointState if state != "capturing"]
)
def test_only_a_removed_points_chunks_are_garbage(shelf: Shelf, state: PointState, kept: bool) -> None:
    chunk = shelf.chunk("rows")
    point = shelf.point(chunk, state=state)
    shelf.points.note(point.id, removed_at=None if kept else START)
    shelf.pass_days(31)

    shelf.collect()

    assert shelf.there(chunk) == kept


def test_an_expired_points_chunks_stay_until_it_is_removed_for_a_restore_may_read_them(shelf: Shelf) -> None:
    chunk = shelf.chunk("rows")
    shelf.point(chunk, state=PointState.EXPIRED)
    shelf.pass_days(31)

    shelf.collect()

    assert shelf.there(chunk)


def test_a_manifest_that_the_catalogue_does_not_know_counts(shelf: Shelf) -> None:
    chunk = shelf.chunk("rows")
    del shelf.points.points[shelf.point(chunk).id]
    shelf.pass_days(31)

    shelf.collect()

    assert shelf.there(chunk)


def test_each_version_is_judged_by_itself_and_its_marker_stays_above_it(shelf: Shelf) -> None:
    damaged = shelf.chunk("rows")
    shelf.point(damaged, state=PointState.FAILED)
    shelf.archive.withdraw(KEYS.chunk(damaged.sha256), damaged.version_id)
    loose = shelf.chunk("rows")
    shelf.archive.withdraw(KEYS.chunk(loose.sha256), loose.version_id)
    shelf.pass_days(31)

    shelf.collect()

    assert (shelf.there(damaged), shelf.there(loose)) == (True, False)
    assert shelf.archive.find(KEYS.chunk(damaged.sha256)) is None


def test_a_marker_goes_with_the_last_version_beneath_it(shelf: Shelf) -> None:
    loose = shelf.chunk("junk", days=30)
    shelf.archive.withdraw(KEYS.chunk(loose.sha256), loose.version_id)
    shelf.pass_days(20)

    shelf.collect("first")
    assert len(shelf.archive.versions[KEYS.chunk(loose.sha256)]) == 2
    shelf.pass_days(11)
    shelf.collect("second")

    assert not shelf.archive.versions[KEYS.chunk(loose.sha256)]


def test_nothing_is_removed_while_a_backup_runs(shelf: Shelf) -> None:
    loose = shelf.chunk("junk")
    shelf.pass_days(31)
    shelf.executions.alive.add("arn:backup")
    shelf.points.locks[DATABASE] = ("shop-20260101t000000z-000000", "arn:backup")

    with pytest.raises(BackupAlreadyRunning):
        shelf.collect()

    assert shelf.there(loose)


def test_the_lock_of_a_dead_run_is_taken_over_and_its_point_fails(shelf: Shelf) -> None:
    point = shelf.point(state=PointState.CAPTURING)
    shelf.points.locks[DATABASE] = (point.id, point.execution)

    assert shelf.collect().finished

    assert shelf.points.get(point.id).state is PointState.FAILED


def test_a_backup_that_runs_without_a_lock_stops_the_collection(shelf: Shelf) -> None:
    loose = shelf.chunk("junk")
    point = shelf.point(state=PointState.CAPTURING)
    shelf.executions.alive.add(point.execution)
    shelf.pass_days(31)

    with pytest.raises(BackupAlreadyRunning, match="without the lock"):
        shelf.collect()

    assert shelf.there(loose)


def test_a_collection_that_lost_its_lock_removes_nothing_more(shelf: Shelf) -> None:
    loose = shelf.chunk("junk")
    shelf.pass_days(31)
    shelf.collect(seconds_left=lambda: 0)
    shelf.points.release(DATABASE, "arn:run")

    with pytest.raises(UnexpectedState, match="has lost the lock"):
        shelf.collect()

    assert shelf.there(loose)


def test_a_collection_goes_on_where_its_last_invocation_ended(shelf: Shelf) -> None:
    needed = [shelf.chunk(f"needed {number}") for number in range(5)]
    loose = [shelf.chunk(f"junk {number}") for number in range(7)]
    for chunk in needed:
        shelf.point(chunk)
    shelf.pass_days(31)

    invocations = 0
    finished = False
    while not finished:
        left = chain([900], repeat(0))
        finished = shelf.collect(seconds_left=lambda left=left: next(left)).finished  # type: ignore[misc]
        invocations += 1

    assert invocations > 10
    assert all(map(shelf.there, needed))
    assert not any(map(shelf.there, loose))


def test_marks_that_a_slower_invocation_wrote_over_are_not_taken_for_all_there_are(shelf: Shelf) -> None:
    needed = [shelf.chunk(f"needed {number}") for number in range(3)]
    for chunk in needed:
        shelf.point(chunk)
    shelf.pass_days(31)
    for _ in range(3):
        shelf.collect(seconds_left=chain([900], repeat(0)).__next__)
    name = RunKeys("collect", "run").document("pinned.bin")
    assert shelf.scratch.read(name)
    shelf.scratch.write(name, b"")

    with pytest.raises(UnexpectedState, match="wrote over each other; nothing was removed"):
        shelf.collect()
    assert all(map(shelf.there, needed))


def test_a_run_that_is_over_answers_the_same_again(shelf: Shelf) -> None:
    shelf.chunk("junk")
    shelf.pass_days(31)
    first = shelf.collect()
    later = shelf.chunk("later")
    shelf.pass_days(31)

    assert shelf.collect() == first
    assert shelf.there(later)


@pytest.mark.parametrize("fault", ["missing", "damaged", "unreadable", "another", "chunk"])
def test_nothing_is_removed_while_it_cannot_be_known_what_is_needed(shelf: Shelf, fault: str) -> None:
    needed, loose = shelf.chunk("needed"), shelf.chunk("junk")
    point = shelf.point(needed)
    key = KEYS.of_point(point.id, MANIFEST)
    shelf.pass_days(31)
    if fault == "missing":
        shelf.archive.versions[key].clear()
    elif fault == "damaged":
        shelf.archive.damage(key, shelf.archive.read(key).replace(needed.sha256.encode(), loose.sha256.encode()))
    elif fault == "unreadable":
        shelf.archive.delete(key)
        shelf.archive.put(key, b"{", sha256="021fb596db81e6d02bf3d2586ee3981fe519f275c0ac9ca76bbcf2ebb4097d96")
    elif fault == "another":
        shelf.points.points[point.id] = shelf.points.get(point.id).advanced(point.state, manifest_version="v0")
    else:
        shelf.archive.versions[KEYS.chunk(needed.sha256)].clear()

    with pytest.raises(ArchiveDamaged):
        shelf.collect()

    assert shelf.there(loose)


def test_a_failed_points_missing_chunk_does_not_stop_the_collection(shelf: Shelf) -> None:
    lost, loose = shelf.chunk("lost"), shelf.chunk("junk")
    shelf.point(lost, state=PointState.FAILED)
    shelf.archive.versions[KEYS.chunk(lost.sha256)].clear()
    shelf.pass_days(31)

    shelf.collect()

    assert not shelf.there(loose)


def test_another_databases_chunks_are_none_of_its_business(shelf: Shelf) -> None:
    other = "shop-eu/chunks/ab/abcd.zst"
    shelf.archive.put(other, b"x", sha256="2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
    shelf.pass_days(31)

    shelf.collect()

    assert shelf.archive.versions[other]


def test_points_whose_data_is_at_a_provider_have_no_manifest_and_are_left_alone(shelf: Shelf) -> None:
    needed, loose = shelf.chunk("needed"), shelf.chunk("junk")
    shelf.point(needed)
    for mechanism, state in ((Mechanism.SNAPSHOT, PointState.CAPTURING), (Mechanism.HISTORY, PointState.INTACT)):
        point = shelf.point(state=state)
        shelf.archive.versions.pop(KEYS.of_point(point.id, MANIFEST))
        shelf.points.points[point.id] = replace(point, mechanism=mechanism)
    shelf.pass_days(31)

    shelf.collect()

    assert (shelf.there(needed), shelf.there(loose)) == (True, False)
    assert [point.state for point in shelf.points.points.values()].count(PointState.CAPTURING) == 1


def test_what_is_removed_goes_in_the_replica_too_and_stays_here_while_a_lock_protects_it_there(shelf: Shelf) -> None:
    loose, locked = shelf.chunk("junk"), shelf.chunk("locked")
    shelf.pass_days(31)
    replica = MemoryArchive()
    replica.versions = {key: [replace(one) for one in kept] for key, kept in shelf.archive.versions.items()}
    replica.today = shelf.archive.today
    until = shelf.archive.today + timedelta(days=1)
    replica.find(KEYS.chunk(locked.sha256), retain_until=until)

    collected = shelf.collect(replica=replica)

    assert (shelf.there(loose), shelf.there(locked)) == (False, True)
    assert (collected.removed.versions, collected.locked.versions, collected.locked_until) == (1, 1, until)
    assert [key for key, kept in replica.versions.items() if kept] == [KEYS.chunk(locked.sha256)]
