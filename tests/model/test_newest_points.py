"""Which point is the newest that a restore can be made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fakes import MemoryArchive, MemoryPoints, MemoryScratch, MemorySigner
from holdfast.contracts.verify import VerifyRequest
from holdfast.errors import PointNotRestorable
from holdfast.model.points import Kind, Mechanism, PointState, RecoveryPoint, Tier, newest_restorable
from holdfast.usecases.download.source import open_source
from holdfast.usecases.restore.choosing import choose_point
from holdfast.usecases.verify.plan import plan_verification

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


@pytest.mark.parametrize(
    ("mechanism", "expected"),
    [
        pytest.param(Mechanism.ARCHIVE, "archived", id="an archive"),
        pytest.param(Mechanism.SNAPSHOT, "snapshot", id="a snapshot"),
        pytest.param(None, "history", id="by whatever means"),
    ],
)
def test_only_an_archive_is_the_latest_unless_anything_counts(mechanism: Mechanism | None, expected: str) -> None:
    history = replace(point("history", "full"), mechanism=Mechanism.HISTORY)
    snapshot = replace(point("snapshot", "full"), mechanism=Mechanism.SNAPSHOT)

    found = newest_restorable([history, snapshot, point("archived", "full")], mechanism=mechanism)

    assert found is not None
    assert found.id == expected


@pytest.mark.parametrize("kind", [Kind.SCHEMA, Kind.DATA])
def test_a_part_is_never_taken_for_the_whole(kind: Kind) -> None:
    assert newest_restorable([point("part", kind, PointState.PROVEN)]) is None


@pytest.mark.parametrize("mechanism", [Mechanism.SNAPSHOT, Mechanism.HISTORY])
def test_what_lies_at_a_provider_is_never_read_as_an_archive(mechanism: Mechanism) -> None:
    taken = replace(point("shop-20260131t120000z-00000a", "full"), database="shop", mechanism=mechanism)
    points = MemoryPoints()
    points.points[taken.id] = taken
    request = VerifyRequest(database="shop", point_id=taken.id, run="run")
    ports = {"archive": MemoryArchive(), "signer": MemorySigner()}
    readers: list[Callable[[], object]] = [
        lambda: choose_point(points, "shop", taken.id),
        lambda: plan_verification(request, points=points, scratch=MemoryScratch(), **ports),  # type: ignore[arg-type]
        lambda: open_source(taken, **ports),  # type: ignore[arg-type]
    ]

    for reader in readers:
        with pytest.raises(PointNotRestorable, match="it has no archive"):
            reader()
    assert points.get(taken.id).state is PointState.INTACT
