"""Archives of a frozen copy: the lock first, then the copy, which is judged and whose moment the point tells."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from holdfast.model.points import PointState
from snapshot.rig import DATABASE, Rig

FROZEN_AT = datetime(2026, 6, 1, 11, 55, tzinfo=UTC)


def test_the_live_database_is_not_connected_to_where_a_copy_is_wanted(small: Rig) -> None:
    reachable, small.from_copy = small.parameters, True
    small.parameters = replace(small.parameters, port=1)

    started = small.start("arn:one")

    assert (started.freeze, started.may_freeze) == (True, False)
    assert small.points.lock_holder(DATABASE) == (started.point_id, "arn:one")
    assert small.points.get(started.point_id).workers == 0
    small.parameters = reachable


def test_the_copy_is_judged_when_it_is_there(small: Rig) -> None:
    small.from_copy = small.may_freeze = True
    point = small.points.get(small.start("arn:one").point_id)

    small.frozen_at = FROZEN_AT
    again = small.request_again(point)

    assert (again.point_id, again.freeze, again.may_freeze) == (point.id, False, False)
    assert again.concurrency == small.points.get(point.id).workers > 0
    assert again.pause_seconds == 0  # nobody has to wait behind a backup of a copy


def test_a_point_of_a_copy_is_of_the_moment_when_it_was_frozen(small: Rig) -> None:
    small.frozen_at = FROZEN_AT

    point = small.backup()

    assert (point.state, point.taken_at) == (PointState.CAPTURED, FROZEN_AT)
    assert small.manifest(point.id).snapshot.taken_at == FROZEN_AT


def test_a_live_database_says_that_a_copy_could_be_frozen_when_it_has_to_give_way(small: Rig) -> None:
    small.may_freeze = True

    started = small.start("arn:one")

    assert (started.freeze, started.may_freeze, started.pause_seconds) == (False, True, 60)
