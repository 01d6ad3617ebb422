"""Run a whole backup against a real server, with everything else in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from fakes import (
    MemoryArchive,
    MemoryDigestKeys,
    MemoryExecutions,
    MemoryHolds,
    MemoryPoints,
    MemoryScratch,
    MemorySigner,
)
from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.contracts.backup import (
    BackupRequest,
    DumpRequest,
    HoldAnswer,
    HoldRequest,
    Planned,
    PlanRequest,
    PointRequest,
    Sealed,
    Started,
)
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.contracts.verify import CheckRequest, Verdict, VerifyRequest
from holdfast.model.keys import MANIFEST, ArchiveKeys, backup_run
from holdfast.model.points import Kind, RecoveryPoint, Tier
from holdfast.usecases.snapshot.access import SnapshotAccess
from holdfast.usecases.snapshot.dump import BatchDump
from holdfast.usecases.snapshot.hold import Clock, Holder
from holdfast.usecases.snapshot.plan import plan_backup, read_plan
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.seal import Sealing
from holdfast.usecases.snapshot.start import start_backup
from holdfast.usecases.verify.check import check_batch
from holdfast.usecases.verify.conclude import Conclusion
from holdfast.usecases.verify.plan import plan_verification

DATABASE = "shop"
BUCKET = "archive"
_RUNS = count(1)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Rig:
    """The ports in memory, the source's parameters, and each step as a method."""

    parameters: ConnectionParameters
    archive: MemoryArchive = field(default_factory=MemoryArchive)
    scratch: MemoryScratch = field(default_factory=MemoryScratch)
    points: MemoryPoints = field(default_factory=MemoryPoints)
    holds: MemoryHolds = field(default_factory=MemoryHolds)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)
    signer: MemorySigner = field(default_factory=MemorySigner)
    digest_keys: MemoryDigestKeys = field(default_factory=MemoryDigestKeys)
    concurrency: int | None = 4
    standby: bool = False
    selection: Selection = EVERYTHING
    attempt: int = 1
    yield_after_seconds: int = 5
    yield_pauses_seconds: tuple[int, ...] = (60, 600)
    from_copy: bool = False
    may_freeze: bool = False
    frozen_at: datetime | None = None

    @property
    def protected(self) -> Protected:
        return Protected(
            name=DATABASE,
            provider="postgres",
            concurrency=self.concurrency,
            yield_after_seconds=self.yield_after_seconds,
            yield_pauses_seconds=self.yield_pauses_seconds,
            standby=self.standby,
            keep_days={tier: 30 for tier in Tier},
            parameters=self.parameters,
            selection=self.selection,
            from_copy=self.from_copy,
            may_freeze=self.may_freeze,
            frozen_at=self.frozen_at,
        )

    def access(self, point_id: str, tries: int = 20) -> SnapshotAccess:
        return SnapshotAccess(
            point_id,
            points=self.points,
            holds=self.holds,
            sleep=lambda _: time.sleep(0.1),
            tries=tries,
            attempt=self.attempt,
            renewed=self.protected.is_renewed(self.attempt),
        )

    def start(
        self,
        execution: str | None = None,
        tier: Tier = Tier.MANUAL,
        kind: Kind = Kind.FULL,
        scheduled_at: str | None = None,
    ) -> Started:
        number = next(_RUNS)
        execution = execution or f"arn:aws:states:eu-central-1:123456789012:execution:backup:{number}"
        self.executions.alive.add(execution)
        request = BackupRequest(
            database=DATABASE,
            tier=tier,
            kind=kind,
            scheduled_at=scheduled_at,
            execution=execution,
            execution_started_at=now().replace(microsecond=0) + timedelta(seconds=number),
        )
        return start_backup(
            request, protected=self.protected, points=self.points, holds=self.holds, executions=self.executions
        )

    def request_again(self, point: RecoveryPoint) -> Started:
        """Start the backup of *point* once more, as its execution does."""
        request = BackupRequest(
            database=DATABASE,
            tier=point.tier,
            execution=point.execution,
            execution_started_at=point.started_at,
        )
        return start_backup(
            request, protected=self.protected, points=self.points, holds=self.holds, executions=self.executions
        )

    def hold(self, point_id: str, generation: int = 1, seconds: float = 600, pause: float = 0.02) -> HoldAnswer:
        """Be one holder, whose invocation may last *seconds*."""
        token = f"token-{point_id}-{generation}"
        self.executions.waiting.add(token)
        end = time.monotonic() + seconds
        clock = Clock(now=now, sleep=lambda _: time.sleep(pause), seconds_left=lambda: end - time.monotonic())
        request = HoldRequest(
            database=DATABASE, point_id=point_id, attempt=self.attempt, generation=generation, task_token=token
        )
        return Holder(
            request,
            protected=self.protected,
            points=self.points,
            holds=self.holds,
            executions=self.executions,
            clock=clock,
        ).run()

    @contextmanager
    def holding(self, point_id: str) -> Iterator[Future[HoldAnswer]]:
        """Hold the snapshot in the background until the point or its hold ends."""
        with ThreadPoolExecutor(1) as pool:
            holder = pool.submit(self.hold, point_id)
            try:
                self.access(point_id, tries=100).using(lambda hold: hold)
                yield holder
            finally:
                self.holds.end(point_id)

    def plan(self, point_id: str, seconds_left: Callable[[], float] = lambda: 900.0) -> Planned:
        request = PlanRequest(
            database=DATABASE,
            point_id=point_id,
            attempt=self.attempt,
            concurrency=self.points.get(point_id).workers,
        )
        kind = self.points.get(point_id).kind
        return plan_backup(
            request,
            kind=kind,
            protected=self.protected,
            access=self.access(point_id),
            scratch=self.scratch,
            seconds_left=seconds_left,
        )

    def items(self, key: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.scratch.objects[key])
        return found

    def dump(self, request: DumpRequest, seconds_left: Callable[[], float] = lambda: 900.0) -> None:
        BatchDump(
            protected=self.protected,
            access=self.access(request.point_id),
            points=self.points,
            scratch=self.scratch,
            archive=self.archive,
            now=now,
            seconds_left=seconds_left,
        ).run(request)

    def request(self, point_id: str, batch: int) -> DumpRequest:
        """Return the item of one batch of the attempt's plan."""
        found = read_plan(self.scratch, backup_run(point_id, self.attempt))
        assert found
        return DumpRequest(database=DATABASE, point_id=point_id, attempt=self.attempt, plan=found.id, batch=batch)

    def dump_all(self, planned: Planned) -> None:
        for item in self.items(planned.items.key):
            self.dump(DumpRequest.model_validate(item))

    def seal(self, point_id: str, seconds_left: Callable[[], float] = lambda: 900.0) -> Sealed:
        return Sealing(
            protected=self.protected,
            access=self.access(point_id, tries=5),
            points=self.points,
            scratch=self.scratch,
            archive=self.archive,
            signer=self.signer,
            bucket=BUCKET,
            now=now,
            seconds_left=seconds_left,
        ).run(PointRequest(database=DATABASE, point_id=point_id, attempt=self.attempt))

    def backup(self, kind: Kind = Kind.FULL) -> RecoveryPoint:
        """Take a point, from start to seal."""
        started = self.start(kind=kind)
        with self.holding(started.point_id) as holder:
            self.dump_all(self.plan(started.point_id))
            self.seal(started.point_id)
            assert holder.result(timeout=30).released
        return self.points.get(started.point_id)

    def verify(self, point_id: str, run: str | None = None) -> Verdict:
        request = VerifyRequest(database=DATABASE, point_id=point_id, run=run or f"verify-{next(_RUNS)}")
        planned = plan_verification(
            request, points=self.points, archive=self.archive, scratch=self.scratch, signer=self.signer
        )
        for item in self.items(planned.items.key):
            check_batch(
                CheckRequest.model_validate(item),
                archive=self.archive,
                scratch=self.scratch,
                digest_keys=self.digest_keys,
            )
        return self.conclude(request)

    def conclude(self, request: VerifyRequest) -> Verdict:
        return Conclusion(
            points=self.points,
            archive=self.archive,
            scratch=self.scratch,
            signer=self.signer,
            digest_keys=self.digest_keys,
            now=now,
            retain_until=self.protected.retain_until,
        ).run(request)

    def manifest(self, point_id: str) -> Manifest:
        return Manifest.model_validate_json(self.archive.read(ArchiveKeys(DATABASE).of_point(point_id, MANIFEST)))
