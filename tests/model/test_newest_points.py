"""Which point is the newest that a restore can be made from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.model.points import Kind, PointState, RecoveryPoint, Tier, newest_restorable

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def point(name: str, kind: str, state: PointState = PointState.INTACT) -> RecoveryPoint:
    return RecoveryPoint(
        id=name,
        database="shop",
        tier=Tier.DAILY,
        kind=kind,
        state=state,
        started_at=NOON,
        taken_at=NOON + timedelta(minutes=1),
        execution="e",
    )


NEWEST_FIRST = [
    point("running", "full", PointState.CAPTURING),
    point("data", "data", PointState.PROVEN),
    point("schema", "schema"),
    point("captured", "full", PointState.CAPTURED),
    point("intact", "full"),
    point("proven", "full", PointState.PROVEN),
]


@pytest.mark.parametrize(
    ("kind", "proven", "expected"),
    [
        pytest.param(Kind.FULL, False, "intact", id="everything"),
        pytest.param(Kind.FULL, True, "proven", id="everything, proven"),
        pytest.param(Kind.SCHEMA, False, "schema", id="the schema"),
        pytest.param(Kind.SCHEMA, True, "proven", id="the schema, proven: a full point has it"),
        pytest.param(Kind.DATA, False, "data", id="the rows"),
    ],
)
def test_the_newest_point_is_one_that_holds_what_is_wanted(kind: Kind, proven: bool, expected: str) -> None:
    found = newest_restorable(NEWEST_FIRST, kind=kind, proven=proven)

    assert found is not None
    assert found.id == expected


@pytest.mark.parametrize("kind", [Kind.SCHEMA, Kind.DATA])
def test_a_part_is_never_taken_for_the_whole(kind: Kind) -> None:
    assert newest_restorable([point("part", kind, PointState.PROVEN)]) is None
