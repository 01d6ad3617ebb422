"""A database with points of every mechanism, a provider, two buckets, and a run that prunes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fakes import MemoryArchive, MemoryExecutions, MemoryHolds, MemoryPoints, MemoryRestores, MemoryScratch
from holdfast.contracts.pruning import Decisions, Judged, Pruned, PruneRequest
from holdfast.model.keys import MANIFEST, SIGNATURE, ArchiveKeys, RunKeys
from holdfast.model.points import Mechanism, PointState, RecoveryPoint, Tier, point_id
from holdfast.model.retention import Policy
from holdfast.ports.providers import Progress, ProviderSnapshot, Window
from holdfast.usecases.retention.prune import Pruning
from holdfast.usecases.retention.removing import Place, Removal

DATABASE = "shop"
KEYS = ArchiveKeys(DATABASE)
TODAY = datetime.fromisoformat("2026-06-01T12:00:00+00:00")
DAY = timedelta(days=1)
POLICY = Policy(
    keep={Tier.HOURLY: 7 * DAY, Tier.DAILY: 30 * DAY, Tier.WEEKLY: 90 * DAY, Tier.MONTHLY: 365 * DAY, Tier.MANUAL: DAY},
    objective={Tier.HOURLY: timedelta(hours=2), Tier.DAILY: timedelta(hours=25)},
)
SECOND = "eu-west-1"


@dataclass
class MemoryProvider:
    """What retention asks of a provider; tests set what is there."""

    earliest: datetime | None = TODAY - 7 * DAY
    here: dict[str, bool] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)

    def window(self) -> Window | None:
        return Window(self.earliest, TODAY) if self.earliest else None

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        return tuple(_snapshot(each, manual=manual) for each, manual in self.here.items())

    def delete_snapshot(self, snapshot_id: str) -> bool:
        assert self.here.get(snapshot_id, True), "the provider's own are never deleted"
        self.deleted.append(snapshot_id)
        return self.here.pop(snapshot_id, None) is not None

    def second_region_snapshots(self) -> tuple[ProviderSnapshot, ...]:
        return tuple(_snapshot(each) for each in self.there)

    def delete_second_region_snapshot(self, snapshot_id: str) -> bool:
        self.deleted.append(snapshot_id)
        there = snapshot_id in self.there
        self.there.discard(snapshot_id)
        return there


def _snapshot(name: str, *, manual: bool = True) -> ProviderSnapshot:
    return ProviderSnapshot(
        id=name, name=name, progress=Progress.AVAILABLE, source="db", created_at=TODAY, manual=manual
    )


@dataclass
class Cellar:
    """The ports, and what tests do with them; `archive.today` is everybody's clock."""

    archive: MemoryArchive = field(default_factory=lambda: MemoryArchive(page_keys=2))
    replica: MemoryArchive = field(default_factory=lambda: MemoryArchive(page_keys=2))
    scratch: MemoryScratch = field(default_factory=MemoryScratch)
    points: MemoryPoints = field(default_factory=MemoryPoints)
    holds: MemoryHolds = field(default_factory=MemoryHolds)
    restores: MemoryRestores = field(default_factory=MemoryRestores)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)
    provider: MemoryProvider | None = field(default_factory=MemoryProvider)
    fresh: list[RecoveryPoint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.archive.today = self.replica.today = TODAY - 1000 * DAY

    def point(self, tier: Tier, age: timedelta, state: PointState = PointState.INTACT, **facts: Any) -> RecoveryPoint:
        """Keep a point of so long ago; an archive's objects lie in both buckets."""
        taken = TODAY - age
        point = RecoveryPoint(
            id=point_id(DATABASE, taken, hashlib.sha256(f"{tier}{age}{facts}".encode()).hexdigest()),
            database=DATABASE,
            tier=tier,
            kind="full",
            state=state,
            started_at=taken,
            taken_at=taken,
            intact_at=taken,
            execution=f"arn:{tier}:{age}",
        )
        point = self.points.points[point.id] = replace(point, **facts)
        for name in (MANIFEST, SIGNATURE) if point.archived else ():
            self.write(point, name)
        if point.mechanism is Mechanism.SNAPSHOT and self.provider:
            self.provider.here[point.provider_id] = not point.adopted
            self.provider.there |= {point.second_id} if point.second_id else set()
        return point

    def write(self, point: RecoveryPoint, name: str, *, until: datetime | None = None) -> None:
        body = name.encode()
        for bucket in (self.archive, self.replica):
            bucket.today = TODAY
            key = KEYS.of_point(point.id, name)
            bucket.put(key, body, sha256=hashlib.sha256(body).hexdigest(), retain_until=until)

    def healthy(self) -> None:
        """Give the tiers that have an objective a fresh point each."""
        self.fresh = [self.point(tier, timedelta(minutes=5)) for tier in POLICY.objective]

    def pruning(self, ports: Any = None, seconds_left: Callable[[], float] = lambda: 900) -> Pruning:
        """Return one invocation's use case, over *ports* if given: what a test put in between."""
        seen = ports or self
        places = [Place("archive", seen.archive), Place("replica", seen.replica)]
        return Pruning(
            points=seen.points,
            holds=seen.holds,
            restores=seen.restores,
            executions=seen.executions,
            scratch=seen.scratch,
            removal=Removal(
                archive=seen.archive, places=places, provider=seen.provider, now=lambda: self.archive.today
            ),
            provider=lambda: seen.provider,
            policy=POLICY,
            now=lambda: self.archive.today,
            seconds_left=seconds_left,
        )

    def prune(
        self, run: str = "run", *, dry_run: bool = False, seconds_left: Callable[[], float] = lambda: 900
    ) -> Pruned:
        """Invoke the function once."""
        self.archive.today = self.replica.today = max(TODAY, self.archive.today)
        self.executions.alive = {request(run).execution}
        return self.pruning(seconds_left=seconds_left).run(request(run, dry_run=dry_run))

    def judged(self, point: RecoveryPoint, run: str = "run") -> Judged:
        """Return what the run has told of the point."""
        (found,) = [one for one in self.decisions(run) if one.point_id == point.id]
        return found

    def decisions(self, run: str = "run") -> Sequence[Judged]:
        body = self.scratch.objects[RunKeys("prune", run).document("decisions.json")]
        return Decisions.model_validate_json(body).judged

    def left(self, point: RecoveryPoint) -> list[str]:
        """Return the keys of the point that have any version, in either bucket."""
        return [
            key
            for bucket in (self.archive, self.replica)
            for key in bucket.versions
            if key.startswith(KEYS.point(point.id)) and bucket.versions[key]
        ]

    def receipts(self, point: RecoveryPoint) -> list[Any]:
        """Return the receipts of what was removed of the point."""
        prefix = f"{DATABASE}/deletions/{point.id}"
        found = [key for key in self.archive.versions if key.startswith(prefix) and not key.endswith(".begun.json")]
        return [json.loads(self.archive.read(key)) for key in sorted(found)]


def request(run: str = "run", *, dry_run: bool = False) -> PruneRequest:
    return PruneRequest(database=DATABASE, dry_run=dry_run, execution=f"arn:{run}", run=run)


def snapshot(**facts: Any) -> dict[str, Any]:
    """Return the facts of a point that is a snapshot of ours, unless they say otherwise."""
    return {"mechanism": Mechanism.SNAPSHOT, "provider_id": "snap-1", **facts}
