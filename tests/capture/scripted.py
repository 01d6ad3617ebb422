"""A provider that has what a test says, and captures over it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

from fakes import MemoryExecutions, MemoryPoints
from holdfast.configuration import Database, parse
from holdfast.contracts.capture import AbandonRequest, Captured, CaptureRequest
from holdfast.model.points import RecoveryPoint, Tier
from holdfast.model.provider_settings import ENCRYPTED, Setting
from holdfast.ports.providers import Capabilities, Progress, ProviderSnapshot, Quota, Window
from holdfast.usecases.capture.abandon import abandon_capture
from holdfast.usecases.capture.capture import Capture

SOURCE = "prod-1"
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def shop(**more: Any) -> Database:
    """Return a database at RDS."""
    given = {"provider": "rds", "rds": {"instance": SOURCE}, **more}
    return parse(json.dumps({"databases": {"shop": given}})).databases["shop"]


def snapshot(**facts: Any) -> ProviderSnapshot:
    """Return a sound snapshot of an hour before noon, but for *facts*."""
    sound: dict[str, Any] = {
        "id": "rds:prod-1",
        "name": "rds:prod-1",
        "progress": Progress.AVAILABLE,
        "source": SOURCE,
        "created_at": NOON - HOUR,
        "taken_at": NOON - HOUR,
        "encrypted": True,
        "manual": False,
        "size": 1000,
    }
    return ProviderSnapshot(**{**sound, **facts})


@dataclass
class Scripted:
    """The part of a provider that captures ask; *made* is what comes of asking for a snapshot, *raises* of any call."""

    there: list[ProviderSnapshot] = field(default_factory=list)
    reach: Window | None = None
    made: dict[str, Any] = field(default_factory=dict)
    raises: Exception | None = None
    elsewhere: list[ProviderSnapshot] = field(default_factory=list)
    capabilities: Capabilities = field(default_factory=Capabilities)
    used: int = 0
    encrypted: bool = True
    asked: list[str] = field(default_factory=list)
    _one_at_a_time: Lock = field(default_factory=Lock)

    def source(self) -> str:
        if self.raises:
            raise self.raises
        return SOURCE

    def window(self) -> Window | None:
        return self.reach

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        return tuple(self.there)

    def create_snapshot(self, name: str, *, keep_until: datetime | None = None) -> ProviderSnapshot:
        self.asked.append(name)
        usual = {"id": f"holdfast-{name}", "name": name, "progress": Progress.CREATING, "manual": True}
        with self._one_at_a_time:
            found = [each for each in self.there if each.name == name]
            if not found:
                found = [snapshot(**{**usual, "taken_at": None, "expires_at": keep_until, **self.made})]
                self.there += found
        return found[0]

    def settings(self) -> tuple[Setting, ...]:
        return (Setting(ENCRYPTED, self.encrypted),)

    def quota(self) -> Quota:
        return Quota(what="manual snapshots", used=self.used, limit=100)

    def second_region_snapshots(self) -> tuple[ProviderSnapshot, ...]:
        return tuple(self.elsewhere)

    def copy_snapshot(self, snapshot_id: str) -> ProviderSnapshot:
        self.elsewhere.append(snapshot(id="copied", copied_from=snapshot_id, progress=Progress.CREATING))
        return self.elsewhere[-1]

    def becomes(self, **facts: Any) -> None:
        """Change what is there."""
        self.there = [replace(each, **facts) for each in self.there]


@dataclass
class Play:
    """Captures of one database over a scripted provider, at a time that stands still."""

    provider: Scripted = field(default_factory=Scripted)
    database: Database = field(default_factory=shop)
    points: MemoryPoints = field(default_factory=MemoryPoints)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)
    now: datetime = NOON
    second_region: str = ""

    def request(self, tier: Tier = Tier.DAILY, *, scheduled: bool = True, run: str = "one") -> CaptureRequest:
        at = NOON.isoformat() if scheduled else None
        execution = f"arn:aws:states:eu-central-1:1:execution:holdfast-capture:{run}"
        return CaptureRequest(
            database="shop", tier=tier, scheduled_at=at, execution=execution, execution_started_at=NOON
        )

    def capture(self, request: CaptureRequest | None = None, **more: Any) -> Captured:
        provider: Callable[[], Any] = lambda: self.provider  # noqa: E731  # a cast in short
        found = Capture(
            database=self.database,
            provider=provider,
            points=self.points,
            executions=self.executions,
            now=lambda: self.now,
            second_region=self.second_region,
        )
        return found.run(request or self.request(**more))

    def abandon(self, request: CaptureRequest, error: str, cause: str) -> RecoveryPoint:
        given = AbandonRequest(**request.model_dump(), error=error, cause=cause)
        return self.point(abandon_capture(given, database=self.database, points=self.points).point_id)

    def point(self, point_id: str) -> RecoveryPoint:
        return self.points.get(point_id)

    def only(self) -> RecoveryPoint:
        (point,) = self.points.newest_first("shop")
        return point
