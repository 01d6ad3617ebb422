"""What every catalogue of recovery points promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fakes import MemoryPoints
from holdfast.errors import (
    BackupAlreadyRunning,
    BadRequest,
    CollectionRunning,
    PointNotRestorable,
    PointProtected,
    UnexpectedState,
    UnknownPoint,
)
from holdfast.model.points import Mechanism, PointState, RecoveryPoint, Tier, point_id
from holdfast.ports.catalogue import Points

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


def point(hours: float = 0, *, database: str = "shop", execution: str = "arn:run-1") -> RecoveryPoint:
    started = NOON + timedelta(hours=hours)
    return RecoveryPoint(
        id=point_id(database, started, "abcdef"),
        database=database,
        tier=Tier.DAILY,
        kind="full",
        state=PointState.CAPTURING,
        started_at=started,
        taken_at=started,
        execution=execution,
    )


def test_a_point_that_began_is_found_as_it_was_written(points: Points) -> None:
    written = replace(
        point(),
        reason="before the migration",
        bytes_plain=2**40,
        captured_at=NOON,
        mechanism=Mechanism.SNAPSHOT,
        adopted=True,
        keep_until=NOON + timedelta(days=90),
    )

    points.begin(written)

    assert points.get(written.id) == written
    assert points.lock_holder("shop") == (written.id, "arn:run-1")


def test_a_begin_that_is_repeated_changes_nothing(points: Points) -> None:
    points.begin(point())

    points.begin(point())

    assert len(points.newest_first("shop")) == 1


def test_a_second_backup_learns_which_one_runs_and_leaves_nothing_behind(points: Points) -> None:
    points.begin(point())

    with pytest.raises(BackupAlreadyRunning) as caught:
        points.begin(point(1, execution="arn:run-2"))

    assert caught.value.ids == {"database": "shop", "point": point().id, "execution": "arn:run-1"}
    assert [each.id for each in points.newest_first("shop")] == [point().id]


def test_one_lock_does_not_stand_in_the_way_of_another_database(points: Points) -> None:
    points.begin(point())

    points.begin(point(database="shop-2", execution="arn:run-2"))

    assert points.lock_holder("shop-2") == (point(database="shop-2").id, "arn:run-2")
    assert len(points.newest_first("shop")) == 1


def test_a_released_lock_is_free_for_the_next_run(points: Points) -> None:
    points.begin(point())

    points.release("shop", "arn:run-1")
    points.release("shop", "arn:run-1")

    assert points.lock_holder("shop") is None
    points.begin(point(1, execution="arn:run-2"))


def test_a_lock_is_released_by_its_holder_only(points: Points) -> None:
    points.begin(point())

    points.release("shop", "arn:run-2")

    assert points.lock_holder("shop") == (point().id, "arn:run-1")


def test_an_id_is_not_used_again_after_its_run_ended(points: Points) -> None:
    points.begin(point())
    points.release("shop", "arn:run-1")

    with pytest.raises(UnexpectedState, match=point().id):
        points.begin(point())


def test_a_point_that_nobody_made_is_unknown(points: Points) -> None:
    with pytest.raises(UnknownPoint, match=point().id):
        points.get(point().id)


def test_a_text_that_is_no_id_is_a_bad_request(points: Points) -> None:
    with pytest.raises(BadRequest, match="not the id of a recovery point"):
        points.get("latest")


def test_points_come_newest_first_and_no_more_than_asked_for(points: Points) -> None:
    for hours in (0, 2, 1):
        points.begin(point(hours))
        points.release("shop", "arn:run-1")

    everything = points.newest_first("shop")
    newest = points.newest_first("shop", limit=2)

    assert [each.started_at for each in everything] == [NOON + timedelta(hours=hours) for hours in (2, 1, 0)]
    assert list(newest) == list(everything[:2])
    assert list(points.newest_first("nobody")) == []


def test_advancing_stores_facts(points: Points) -> None:
    points.begin(point())

    advanced = points.advance(point().id, PointState.CAPTURED, captured_at=NOON, rows=7, manifest_version="v1")

    assert advanced == replace(point(), state=PointState.CAPTURED, captured_at=NOON, rows=7, manifest_version="v1")
    assert points.get(point().id) == advanced


def test_advancing_twice_keeps_the_first_facts(points: Points) -> None:
    points.begin(point())
    first = points.advance(point().id, PointState.CAPTURED, rows=7)

    second = points.advance(point().id, PointState.CAPTURED, rows=8)

    assert second == first == points.get(point().id)


def test_a_point_that_is_checked_again_gets_the_new_time(points: Points) -> None:
    points.begin(point())
    points.advance(point().id, PointState.CAPTURED)
    points.advance(point().id, PointState.INTACT, intact_at=NOON)

    again = points.advance(point().id, PointState.INTACT, intact_at=NOON + timedelta(days=1))

    assert again.intact_at == NOON + timedelta(days=1)


def test_a_failed_point_never_comes_back(points: Points) -> None:
    points.begin(point())
    points.advance(point().id, PointState.FAILED, failure="The holder died.")

    with pytest.raises(UnexpectedState, match="failed to captured"):
        points.advance(point().id, PointState.CAPTURED)

    assert points.get(point().id).failure == "The holder died."


def test_a_point_that_failed_comes_back_only_when_its_backup_was_complete(points: Points) -> None:
    points.begin(point())
    points.advance(point().id, PointState.FAILED, failure="The server went away.")

    with pytest.raises(UnexpectedState):
        points.advance(point().id, PointState.INTACT)

    points.begin(replace(point(1, database="blog"), captured_at=NOON))
    complete = point(1, database="blog").id
    points.advance(complete, PointState.FAILED, failure="It was read on a bad day.")
    points.advance(complete, PointState.INTACT, failure="")
    found = points.get(complete)
    assert (found.state, found.failure) == (PointState.INTACT, "")


def test_a_collection_keeps_backups_out_and_they_learn_why(points: Points) -> None:
    points.reserve("shop", "arn:collection", NOON)
    points.reserve("shop", "arn:collection", NOON)

    with pytest.raises(CollectionRunning) as caught:
        points.begin(point())
    with pytest.raises(CollectionRunning):
        points.reserve("shop", "arn:another", NOON)

    assert caught.value.ids == {"database": "shop", "execution": "arn:collection"}
    assert points.lock_holder("shop") == ("", "arn:collection")
    points.release("shop", "arn:collection")
    points.begin(point())


def test_a_backup_keeps_collections_out(points: Points) -> None:
    points.begin(point())

    with pytest.raises(BackupAlreadyRunning) as caught:
        points.reserve("shop", "arn:collection", NOON)

    assert caught.value.ids == {"database": "shop", "point": point().id, "execution": "arn:run-1"}


def test_an_attempt_that_gives_way_is_counted_once_and_says_to_whom(points: Points) -> None:
    began = point()
    points.begin(began)

    assert points.give_way(began.id, 1, "to a migration")
    assert points.give_way(began.id, 1, "to nobody")

    assert points.get(began.id) == replace(began, yields=1, yielded_to="to a migration")
    assert not points.begin_sealing(began.id, 1)


def test_the_next_attempt_may_give_way_or_be_sealed(points: Points) -> None:
    began = point()
    points.begin(began)
    points.give_way(began.id, 1, "to a migration")

    assert points.give_way(began.id, 2, "to another")
    assert points.begin_sealing(began.id, 3)

    found = points.get(began.id)
    assert (found.yields, found.yielded_to, found.sealing) == (2, "to another", 3)


def test_an_attempt_that_is_being_sealed_gives_way_to_nobody(points: Points) -> None:
    began = point()
    points.begin(began)

    assert points.begin_sealing(began.id, 1)
    assert points.begin_sealing(began.id, 1)

    assert not points.give_way(began.id, 1, "to a migration")
    assert points.get(began.id).yields == 0


@pytest.mark.parametrize("state", [PointState.CAPTURED, PointState.FAILED])
def test_a_point_that_is_over_neither_gives_way_nor_is_sealed(points: Points, state: PointState) -> None:
    began = point()
    points.begin(began)
    points.advance(began.id, state)

    assert not points.give_way(began.id, 1, "to a migration")
    assert not points.begin_sealing(began.id, 1)


def test_a_point_that_needs_no_lock_is_added_once_beside_a_running_backup(points: Points) -> None:
    points.begin(point())
    taken = replace(point(1, execution="arn:capture"), mechanism=Mechanism.SNAPSHOT, provider_id="rds:shop-1")

    first = points.add(taken)
    again = points.add(replace(taken, provider_id="rds:shop-2"))

    assert (first, again) == (taken, taken)
    assert points.lock_holder("shop") == (point().id, "arn:run-1")


def test_facts_are_noted_whatever_the_state(points: Points) -> None:
    points.begin(point())
    points.advance(point().id, PointState.FAILED, failure="The disk was full.")

    noted = points.note(point().id, protected="litigation 17", legal_hold=True)

    assert points.get(point().id) == noted
    assert (noted.state, noted.protected, noted.legal_hold) == (PointState.FAILED, "litigation 17", True)


def test_a_protected_point_does_not_expire_until_that_is_taken_back(points: Points) -> None:
    points.begin(point())
    points.advance(point().id, PointState.FAILED)
    points.protect(point().id, "litigation 17", legal_hold=True)

    with pytest.raises(PointProtected, match="litigation 17"):
        points.advance(point().id, PointState.EXPIRED)

    assert points.get(point().id).legal_hold
    points.protect(point().id, "")
    assert points.advance(point().id, PointState.EXPIRED, expired_why="It is old.").expired_why == "It is old."


def test_what_has_expired_is_protected_no_more_and_may_be_forgotten(points: Points) -> None:
    points.begin(point())
    points.advance(point().id, PointState.FAILED)
    points.forget(point().id)
    points.advance(point().id, PointState.EXPIRED)

    with pytest.raises(PointNotRestorable, match="has expired"):
        points.protect(point().id, "litigation 17")
    points.forget(point().id)
    points.forget(point().id)

    assert list(points.newest_first("shop")) == []


def test_of_an_expiry_and_a_protection_that_meet_one_comes_first(
    points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever decides by what was read a moment ago looks again when it has changed."""
    points.begin(point())
    before = points.advance(point().id, PointState.FAILED)
    points.protect(before.id, "litigation 17")
    if isinstance(points, MemoryPoints):
        return  # it has no moment between reading and writing
    seen, read = [before], points.get
    monkeypatch.setattr(points, "get", lambda name: seen.pop() if seen else read(name))

    with pytest.raises(PointProtected):
        points.advance(before.id, PointState.EXPIRED)

    assert read(before.id).state is PointState.FAILED
