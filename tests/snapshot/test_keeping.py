"""A backup whose point is kept for a time of its own, or protected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fakes import MemoryExecutions, MemoryHolds, MemoryPoints
from holdfast.contracts.backup import BackupRequest
from holdfast.errors import BadRequest
from holdfast.handler import validated
from holdfast.model.budget import Share
from holdfast.model.points import RecoveryPoint, Tier
from holdfast.usecases.snapshot import start
from holdfast.usecases.snapshot.protected import kept_until

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAYS = dict.fromkeys(Tier, 30)


class Shop:
    """What starting a backup asks of a database, when the server is not looked at."""

    parameters = None
    selection = ""
    frozen_at = None
    from_copy = may_freeze = False

    @staticmethod
    def pause_after(attempt: int) -> int:
        return attempt


def started(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> RecoveryPoint:
    """Return the point of a backup that starts with *facts*."""
    monkeypatch.setattr(start, "judge_source", lambda *_, **__: Share(2, "There is room."))
    request = BackupRequest(database="shop", execution="arn:run", execution_started_at=NOON, **facts)
    points = MemoryPoints()
    shop: Any = Shop()
    begun = start.start_backup(
        request, protected=shop, points=points, holds=MemoryHolds(), executions=MemoryExecutions()
    )
    return points.get(begun.point_id)


def test_a_point_is_kept_and_its_objects_are_locked_as_long_as_somebody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    point = started(monkeypatch, keep_days=90)

    assert point.keep_until == kept_until(point, DAYS) == NOON + timedelta(days=90)


def test_a_point_is_kept_as_its_tier_says_where_nobody_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    point = started(monkeypatch, reason="before release 42")

    assert (point.keep_until, point.protected) == (None, "")
    assert kept_until(point, DAYS) == NOON + timedelta(days=30)


def test_a_point_is_protected_from_its_start_for_the_reason_of_the_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, reason="before release 42", protect=True).protected == "before release 42"


def test_nothing_is_protected_without_a_reason() -> None:
    event = {"database": "shop", "protect": True, "execution": "arn", "execution_started_at": NOON.isoformat()}

    with pytest.raises(BadRequest):
        validated(BackupRequest, event)
