"""
A world in which backups, verifications, expiry and collections run in any order, with everything going wrong.

The code that runs is the functions' own, over ports in memory; only what needs a PostgreSQL server is replaced:
reading rows, judging the source, and looking at the held snapshot again before sealing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fakes import MemoryDigestKeys, MemorySigner
from fakes.storage import Version
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.archive.pieces import Buffers, Piece
from holdfast.archive.writing import ChunkWriter
from holdfast.contracts.backup import BackupRequest, DumpRequest, FailRequest, PointRequest, Started
from holdfast.contracts.documents import BackupPlan, DumpBatch, DumpResult, RangePlan, SchemaResult, TablePlan
from holdfast.contracts.manifest import Manifest, Snapshot, Source
from holdfast.contracts.retention import Collected, CollectRequest
from holdfast.contracts.verify import CheckRequest, VerifyRequest
from holdfast.errors import DatabaseUnreachable, HoldfastError, Transient
from holdfast.model.keys import GLOBALS, MANIFEST, ROLES, SCHEMA, RunKeys
from holdfast.model.points import PointState, RecoveryPoint, Tier
from holdfast.ports.catalogue import Hold
from holdfast.usecases.retention.collect import Collection
from holdfast.usecases.snapshot.access import SnapshotAccess
from holdfast.usecases.snapshot.dump import BatchDump
from holdfast.usecases.snapshot.fail import fail_backup
from holdfast.usecases.snapshot.plan import SETTINGS, STAGE
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.seal import Sealing
from holdfast.usecases.snapshot.start import start_backup
from holdfast.usecases.verify.check import check_batch
from holdfast.usecases.verify.conclude import Conclusion
from holdfast.usecases.verify.plan import plan_verification
from retention.archives import DATABASE, KEYS, Shelf
from retention.interleaving import Invocation, Killed, Stepwise

LIMIT = timedelta(minutes=15)
LONGEST = {"backup": timedelta(hours=48), "collect": timedelta(hours=24), "verify": timedelta(hours=24)}
ATTEMPTS = 4
RANGES = 2
SKEW_HOURS = 12
PLAN_ID = "plan-1"
# The shortest that a tier may be kept, so that locks end while points live and backups run.
PROTECTED = Protected(
    name=DATABASE,
    provider="postgres",
    concurrency=2,
    keep_days={tier: 1 for tier in Tier},
    parameters=ConnectionParameters.from_secret("postgresql://u:p@h/shop"),
)


def _no_server(_: str) -> ConnectionParameters:
    """Refuse: in the model nobody has sessions on a server that could be ended."""
    raise DatabaseUnreachable("There is no server.")


class ModelDump(BatchDump):
    """The worker, with rows that are given instead of read."""

    rows: tuple[str, ...] = ()

    def _copied(self, request: DumpRequest, batch: DumpBatch) -> DumpResult:
        if batch.schema_dump:
            found = self._access.using(lambda hold: hold.snapshot.encode())
            result = SchemaResult(
                schema_dump=self._kept(request.point_id, SCHEMA, found),
                globals_sql=self._kept(request.point_id, GLOBALS, b"roles"),
                roles_document=self._kept(request.point_id, ROLES, b"{}"),
                sequences=(),
                client_version="18",
            )
            return DumpResult(plan=batch.plan, batch=batch.batch, schema_result=result, finished_at=self._now())
        writer = ChunkWriter(self._archive, KEYS, retain_until=self._retain_until(request.point_id))
        with writer:
            for plan, row in zip(batch.ranges, self.rows, strict=True):
                text = bytearray(f"{row}\n".encode())
                writer.write(plan, [Piece(text, len(text), Buffers(0))])
            return DumpResult(plan=batch.plan, batch=batch.batch, ranges=writer.results(), finished_at=self._now())


class ModelSealing(Sealing):
    """Sealing, without a server that could tell that the snapshot was lost."""

    def _refuse_unless_held(self, plan: BackupPlan, schema: SchemaResult) -> None:
        del plan, schema


@dataclass
class Ports:
    """What one invocation sees: each call of a port is a step, and the clock is wrong."""

    world: World
    invocation: Invocation
    skew: timedelta

    def __getattr__(self, name: str) -> Any:
        return Stepwise(getattr(self.world, name), self.invocation)

    def now(self) -> datetime:
        return self.world.archive.today + self.skew

    def access(self, point_id: str) -> SnapshotAccess:
        return SnapshotAccess(point_id, points=self.points, holds=self.holds, sleep=lambda _: None, tries=2)


Work = Callable[[Ports], Any]
seconds = timedelta.total_seconds


@dataclass
class Task:
    """One state of a machine: what it invokes, and whether that has succeeded."""

    work: Work
    attempts: int = 0
    done: bool = False


@dataclass
class Machine:
    """An execution: stages of tasks that run side by side, each retried a few times, then the way out."""

    kind: str
    execution: str
    started_at: datetime
    stages: list[list[Task]]
    after: Callable[[Machine, Any], None] = lambda machine, answer: None
    way_out: Work | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return not self.stages


@dataclass
class Running:
    """An invocation in flight; *machine* may have forgotten it."""

    machine: Machine
    task: Task
    invocation: Invocation
    deadline: datetime


@dataclass
class World(Shelf):
    """Everything, and the moves that the explorer chooses from."""

    signer: MemorySigner = field(default_factory=MemorySigner)
    digest_keys: MemoryDigestKeys = field(default_factory=MemoryDigestKeys)
    chance: random.Random = field(default_factory=random.Random)
    machines: list[Machine] = field(default_factory=list)
    flying: list[Running] = field(default_factory=list)
    pins: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    number: int = 0

    # Machines

    def begin_backup(self) -> Machine:
        machine = self._machine("backup", [[]])
        rows = tuple(self.chance.choice("abcd") for _ in range(RANGES))
        started = self.archive.today + self._skew()
        request = BackupRequest(database=DATABASE, execution=machine.execution, execution_started_at=started)

        def start(ports: Ports) -> Started:
            return start_backup(
                request, protected=PROTECTED, points=ports.points, holds=ports.holds, executions=ports.executions
            )

        def failing(ports: Ports) -> Any:
            told = FailRequest(database=DATABASE, execution=machine.execution, point_id=machine.facts.get("point"))
            return fail_backup(told, parameters=_no_server, points=ports.points, holds=ports.holds)

        def after(machine: Machine, answer: Any) -> None:
            if isinstance(answer, Started):
                machine.facts["point"] = answer.point_id
                self._plan(answer.point_id)
                machine.stages += self._copying(answer.point_id, rows) + self._verifying(answer.point_id, machine)

        machine.stages, machine.after, machine.way_out = [[Task(start)]], after, failing
        return machine

    def begin_collection(self) -> Machine:
        machine = self._machine("collect", [[]])
        name = machine.execution.rpartition(":")[2]
        request = CollectRequest(database=DATABASE, execution=machine.execution, run=name)

        def work(ports: Ports) -> Any:
            deadline = self.archive.today + LIMIT
            return Collection(
                points=ports.points,
                holds=ports.holds,
                executions=ports.executions,
                archive=ports.archive,
                versions=ports.archive,
                scratch=ports.scratch,
                now=ports.now,
                seconds_left=lambda: seconds(deadline - self.archive.today),
            ).run(request)

        def after(machine: Machine, answer: Any) -> None:
            if not answer.finished:
                machine.stages.append([Task(work)])

        machine.stages, machine.after = [[Task(work)]], after
        return machine

    def begin_verification(self) -> Machine | None:
        complete = [point.id for point in self.points.points.values() if point.complete]
        if not complete:
            return None
        machine = self._machine("verify", [[]])
        machine.stages = self._verifying(self.chance.choice(complete), machine)
        return machine

    def _machine(self, kind: str, stages: list[list[Task]]) -> Machine:
        self.number += 1
        machine = Machine(kind, f"arn:{kind}:{self.number}", self.archive.today, stages)
        self.executions.alive.add(machine.execution)
        self.machines.append(machine)
        return machine

    def _plan(self, point_id: str) -> None:
        """Write what the planner writes, and be the holder."""
        taken_at = self.archive.today
        batches = [DumpBatch(plan=PLAN_ID, batch=0, taken_at=taken_at, schema_dump=True, settings=SETTINGS)]
        ranges = tuple(
            RangePlan(
                table=0,
                schema_name="public",
                name="t",
                columns=("a",),
                first_block=number,
                end_block=(number + 1) % RANGES or None,
                bytes=1,
            )
            for number in range(RANGES)
        )
        batches += [
            DumpBatch(plan=PLAN_ID, batch=number + 1, taken_at=taken_at, settings=SETTINGS, ranges=(one,))
            for number, one in enumerate(ranges)
        ]
        plan = BackupPlan(
            id=PLAN_ID,
            point_id=point_id,
            database=DATABASE,
            source=Source(
                database_name="shop",
                server_version=180000,
                server_version_text="18",
                encoding="UTF8",
                collate="C",
                ctype="C",
                size=1,
            ),
            snapshot=Snapshot(taken_at=taken_at, lsn="0/1"),
            settings=SETTINGS,
            tables=(TablePlan(schema_name="public", name="t", columns=("a",), blocks=1, bytes=1),),
            extensions=(),
            roles=(),
            materialised_views=(),
            fingerprint="",
            batches=len(batches),
            ranges=RANGES,
        )
        keys = RunKeys("backup", point_id)
        for batch in batches:
            self.scratch.write(keys.batch(STAGE, batch.batch, PLAN_ID), batch.model_dump_json().encode())
        self.scratch.write(keys.document("plan.json"), plan.model_dump_json().encode())
        self.holds.publish(
            Hold(
                point_id=point_id,
                database=DATABASE,
                snapshot="s",
                generation=1,
                taken_at=taken_at,
                lsn="0/1",
                opened_at=taken_at,
                pinged_at=taken_at,
            )
        )

    def _copying(self, point_id: str, rows: tuple[str, ...]) -> list[list[Task]]:
        def dump(number: int) -> Work:
            def work(ports: Ports) -> Any:
                worker = ModelDump(
                    protected=PROTECTED,
                    access=ports.access(point_id),
                    points=ports.points,
                    scratch=ports.scratch,
                    archive=ports.archive,
                    now=ports.now,
                    seconds_left=LIMIT.total_seconds,
                )
                worker.rows = rows[number - 1 : number]
                return worker.run(DumpRequest(database=DATABASE, point_id=point_id, plan=PLAN_ID, batch=number))

            return work

        def seal(ports: Ports) -> Any:
            return ModelSealing(
                protected=PROTECTED,
                access=ports.access(point_id),
                points=ports.points,
                scratch=ports.scratch,
                archive=ports.archive,
                signer=self.signer,
                bucket="archive",
                now=ports.now,
                seconds_left=lambda: 900.0,
            ).run(PointRequest(database=DATABASE, point_id=point_id))

        return [[Task(dump(number)) for number in range(RANGES + 1)], [Task(seal)]]

    def _verifying(self, point_id: str, machine: Machine) -> list[list[Task]]:
        request = VerifyRequest(database=DATABASE, point_id=point_id, run=machine.execution.rpartition(":")[2])
        batch = CheckRequest(database=DATABASE, point_id=point_id, run=request.run, batch=0)

        def plan(ports: Ports) -> Any:
            return plan_verification(
                request, points=ports.points, archive=ports.archive, scratch=ports.scratch, signer=self.signer
            )

        def check(ports: Ports) -> Any:
            return check_batch(batch, archive=ports.archive, scratch=ports.scratch, digest_keys=self.digest_keys)

        def conclude(ports: Ports) -> Any:
            return Conclusion(
                points=ports.points,
                archive=ports.archive,
                scratch=ports.scratch,
                signer=self.signer,
                digest_keys=self.digest_keys,
                now=ports.now,
                retain_until=PROTECTED.retain_until,
            ).run(request)

        return [[Task(work)] for work in (plan, check, conclude)]

    # Moves

    def invoke(self, machine: Machine, task: Task) -> None:
        skew = self._skew()
        invocation = Invocation(lambda this: task.work(Ports(self, this, skew)))
        self.flying.append(Running(machine, task, invocation, self.archive.today + LIMIT))

    def advance(self, machine: Machine) -> None:
        """Invoke what the machine's stage still needs and nobody works at."""
        busy = [one.task for one in self.flying]
        for task in machine.stages[0]:
            if not task.done and task not in busy:
                self.invoke(machine, task)

    def step(self, running: Running) -> None:
        running.invocation.step()
        if running.invocation.over:
            self._ended(running)

    def kill(self, running: Running) -> None:
        running.invocation.kill()
        self._ended(running)

    def _ended(self, running: Running) -> None:
        self.flying.remove(running)
        machine, task, invocation = running.machine, running.task, running.invocation
        if machine.over or task.done or task not in machine.stages[0]:
            return
        if invocation.error is None:
            task.done = True
            machine.after(machine, invocation.answer)
            if all(one.done for one in machine.stages[0]):
                machine.stages.pop(0)
            if machine.over:
                self.executions.alive.discard(machine.execution)
            return
        task.attempts += 1
        killed = not isinstance(invocation.error, Exception)
        if not (killed or isinstance(invocation.error, Transient)) or task.attempts >= ATTEMPTS:
            self._fail(machine, invocation.error)

    def _fail(self, machine: Machine, error: BaseException) -> None:
        self.log.append(f"{machine.execution} failed: {type(error).__name__} {error}")
        assert isinstance(error, HoldfastError | Killed), repr(error)
        way_out, machine.way_out = machine.way_out, None
        machine.stages = [[Task(way_out)]] if way_out else []
        if not way_out:
            self.executions.alive.discard(machine.execution)

    def abort(self, machine: Machine) -> None:
        """Stop the execution; its functions go on until their own limit."""
        machine.stages = []
        self.executions.alive.discard(machine.execution)

    def let_pass(self, time: timedelta) -> None:
        self.archive.today += time
        for running in [one for one in self.flying if one.deadline <= self.archive.today]:
            self.kill(running)
        for machine in self.machines:
            if not machine.over and machine.started_at + LONGEST[machine.kind] <= self.archive.today:
                self.abort(machine)

    def expire(self) -> None:
        """Do what retention will do: expire a point; later remove its manifest, when its lock has ended."""
        points = [one for one in self.points.points.values() if one.complete]
        if not points:
            return
        point = self.chance.choice(points)
        if point.state is not PointState.EXPIRED:
            self.points.advance(point.id, PointState.EXPIRED)
            return
        page = self.archive.page(KEYS.of_point(point.id, MANIFEST))
        if not self.archive.remove(page.versions):
            self.points.note(point.id, removed_at=self.archive.today)

    def damage(self) -> None:
        chunks = [key for key in self.archive.versions if "/chunks/" in key and self.archive.find(key)]
        if chunks:
            self.archive.damage(self.chance.choice(chunks), b"torn")

    # What must always be true, and what must become true

    def lost(self) -> list[str]:
        """Return what complete points pin, until they are removed, that is not there any more."""
        there = {(key, one.id) for key, listed in self.archive.versions.items() for one in listed}
        return [
            f"{key} of {point.id} ({point.state})"
            for point in self.points.points.values()
            if point.complete and point.removed_at is None
            for key, version in self.pinned(point) - there
        ]

    def pinned(self, point: RecoveryPoint) -> set[tuple[str, str]]:
        if point.id not in self.pins:
            body = self.archive.read(KEYS.of_point(point.id, MANIFEST), point.manifest_version)
            manifest = Manifest.model_validate_json(body)
            self.pins[point.id] = {
                (KEYS.chunk(one.sha256), one.version_id) for content in manifest.contents for one in content.chunks
            }
        return self.pins[point.id]

    def garbage(self) -> list[str]:
        """Return chunks that no manifest in the archive pins, but for those of points that are removed."""
        needed: set[tuple[str, str]] = set()
        for key, listed in self.archive.versions.items():
            point = self.points.points.get(key.split("/")[-2])
            if key.endswith(MANIFEST) and point and point.removed_at is None:
                for one in listed:
                    body = self.archive.read(key, one.id)
                    contents = Manifest.model_validate_json(body).contents
                    needed |= {(KEYS.chunk(each.sha256), each.version_id) for all_ in contents for each in all_.chunks}
        return [
            f"{key} {one.id}"
            for key, listed in self.archive.versions.items()
            if "/chunks/" in key
            for one in listed
            if isinstance(one, Version) and (key, one.id) not in needed
        ]

    def receipts(self) -> list[Collected]:
        """Return what the collections that ended tell."""
        keys = [key for key in self.archive.versions if "/collections/" in key]
        return [Collected.model_validate_json(self.archive.read(key)) for key in keys]

    def _skew(self) -> timedelta:
        return timedelta(hours=self.chance.uniform(-SKEW_HOURS, SKEW_HOURS))
