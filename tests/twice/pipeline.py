"""A backup, its verification, a collection and a restore into another server, each function invoked once or twice."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

from capture.scripted import MINUTE, NOON, Play
from fakes.network import eventually
from holdfast.contracts.backup import BackupRequest, DumpRequest, FailRequest, HoldAnswer, HoldRequest, Started
from holdfast.contracts.capture import AbandonRequest
from holdfast.contracts.restore import Assessed, PrepareRequest, ReportRequest, RestoreStep
from holdfast.contracts.retention import CollectRequest
from holdfast.contracts.verify import CheckRequest, VerifyRequest
from holdfast.errors import HoldfastError, Transient
from holdfast.model.keys import ArchiveKeys
from holdfast.model.points import Tier
from holdfast.ports.providers import Progress as ProviderProgress
from holdfast.usecases.capture.abandon import abandon_capture
from holdfast.usecases.restore.assess import assess
from holdfast.usecases.restore.compare import compare
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from holdfast.usecases.restore.prepare import prepare
from holdfast.usecases.restore.prove import prove
from holdfast.usecases.restore.report import report
from holdfast.usecases.restore.validate import validate
from holdfast.usecases.retention.collect import Collection
from holdfast.usecases.snapshot.fail import fail_backup
from holdfast.usecases.snapshot.hold import Clock, Holder
from holdfast.usecases.snapshot.start import start_backup
from holdfast.usecases.verify.check import check_batch
from holdfast.usecases.verify.plan import plan_verification
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import machine
from retention.pruning import Cellar, snapshot
from snapshot.rig import DATABASE, Rig, now

INTO = "twice"
CHECKS = ({"name": "users", "sql": "SELECT count(*) FROM app.users", "expect": "2000"},)
_COUNTED = """
    SELECT (SELECT count(*) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_'),
           (SELECT count(*) FROM pg_constraint WHERE oid > 16383),
           (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_roles WHERE oid > 16383),
           (SELECT count(*) FROM pg_auth_members WHERE oid > 16383), (SELECT count(*) FROM pg_database)
"""
# Which partition a row belongs to by the hash of an enum is another matter in every database.
_TABLES = """
    SELECT c.oid::regclass::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.oid > 16383
      AND n.nspname !~ '^pg_' AND (n.nspname <> 'holdfast_restore' OR c.relname = 'marks')
    ORDER BY 1
"""
_SESSIONS = """
    SELECT application_name FROM pg_stat_activity
    WHERE application_name LIKE 'holdfast%' AND application_name NOT LIKE 'holdfast hold%'
"""


@dataclass
class Called:
    """What invocations of one function answered, and all there was after each round of them."""

    answers: list[list[Any]] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    late: list[Any] = field(default_factory=list)


class Pipeline:
    """The whole way, on which every function is invoked *way*: `once`, `again` when it has succeeded, or `at once`."""

    def __init__(self, source: Databases, name: str, target: Databases, way: str) -> None:
        self.way, self.source, self.target = way, source, target
        self.into = f"{INTO}_{way.replace(' ', '_')}"
        self.rig = rig = Rig(source.parameters(name))
        archiver = Archiver(rig.archive, rig.points, rig.signer, rig.digest_keys)
        urls = {"holdfast/shop": source.server.url(name), "holdfast/target/other": target.server.url("postgres")}
        self.machine = machine(archiver, urls, checks=CHECKS)
        self.play, self.cellar = Play(), Cellar()
        self.called: dict[str, Called] = {}
        self.afterwards: dict[str, Any] = {}
        self._events: list[tuple[str, Callable[[], Any]]] = []
        self.error: HoldfastError | None = None

    def go(self) -> None:
        """Go the whole way; what a function raises ends it, and is told by the tests of what was not reached."""
        try:
            self._go()
        except HoldfastError as error:
            self.error = error
        finally:
            self._clean_up()

    def of(self, name: str) -> Called:
        """Return what was seen of the function *name*."""
        assert self.error is None, f"{type(self.error).__name__}: {self.error}"
        return self.called[name]

    def _go(self) -> None:
        self._leave_garbage()
        self._back_up()
        self._verify()
        self._collect()
        self._restore()
        self._fail_another()
        self._capture()
        self._prune()
        self.afterwards = self.found()
        if self.way == "again":
            self._call_all_late()

    def __repr__(self) -> str:
        """Return little: a failure would show everything of everybody otherwise."""
        return f"<the way {self.way}>"

    def found(self) -> dict[str, Any]:
        """Return all that the functions leave, with the ids of this way made like everybody's."""
        rig, made = self.rig, self.machine
        return {
            "archive": dict(
                sorted({self._like(key): len(each) for key, each in rig.archive.versions.items() if each}.items())
            ),
            "backup": sorted(self._like(key) for key in rig.scratch.objects),
            "restore": sorted(self._like(key) for key in made.scratch.objects if not _passing(key)),
            "points": [(each.state, each.yields, each.failure) for each in rig.points.newest_first(DATABASE)],
            "locks": (len(rig.points.locks), len(made.restores.locks)),
            "runs": [each.state for each in made.restores.newest_first(DATABASE)],
            "target": self._in_target(),
            "sessions": self._sessions(),
            "captured": [(each.state, each.failure) for each in self.play.points.newest_first(DATABASE)],
            "snapshots": len(self.play.provider.there),
            "pruned": self._pruned(),
        }

    def _pruned(self) -> Any:
        cellar = self.cellar
        states = {point.id: point.state for point in cellar.points.points.values()}
        buckets = [
            {key: len(each) for key, each in sorted(bucket.versions.items()) if each}
            for bucket in (cellar.archive, cellar.replica)
        ]
        assert cellar.provider is not None
        return states, buckets, sorted(cellar.provider.here), len(cellar.points.locks), sorted(cellar.scratch.objects)

    def _in_target(self) -> Any:
        if not self.target.exists(self.into):
            return None
        with self.target.connect(self.into) as session:
            names = [name for (name,) in session.execute(_TABLES)]
            rows = {name: session.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() for name in names}
            return session.execute(_COUNTED).fetchone(), rows

    def _sessions(self) -> list[str]:
        """Return who is still connected; a session that was closed just now may take a moment to end."""
        left: list[str] = []

        def gone() -> bool:
            left[:] = [str(row[0]) for each in (self.source, self.target) for row in each.run("postgres", _SESSIONS)]
            return not left

        eventually(gone, 5)
        return left

    def _like(self, text: str) -> str:
        for number, point in enumerate(sorted(self.rig.points.points)):
            text = text.replace(point, f"POINT-{number}")
        for number, run in enumerate(sorted(self.machine.restores.runs)):
            text = text.replace(f"{run}/", f"RUN-{number}/")
        # A plan is named after what is in it, the moment of its snapshot too; so is a verification's code.
        text = re.sub(r"/dump/batches/[0-9a-f]{32}/", "/dump/batches/PLAN/", text)
        return re.sub(r"/verification-[0-9a-f]+\.mac", "/verification-HASH.mac", text)

    def _call(self, name: str, function: Callable[[], Any]) -> Any:
        """Invoke *function* as this way does, and return what the first of its invocations answered."""
        self._events.append((name, function))
        called = self.called.setdefault(name, Called())
        if self.way == "at once":
            start = threading.Barrier(2)

            def invoke() -> Any:
                start.wait()
                return _retried(function)

            with ThreadPoolExecutor(2) as pool:
                answers = [future.result() for future in [pool.submit(invoke), pool.submit(invoke)]]
        else:
            answers = [_retried(function)]
            called.found.append(self.found())
            if self.way == "again":
                answers.append(_retried(function))
        called.answers.append(answers)
        if self.way != "once":
            called.found.append(self.found())
        return answers[0]

    def _leave_garbage(self) -> None:
        archive, body = self.rig.archive, b"nobody's"
        archive.today = now() - timedelta(days=40)
        digest = sha256(body).hexdigest()
        archive.put(ArchiveKeys(DATABASE).chunk(digest), body, sha256=digest)
        archive.today = now()

    def _start(self, number: int) -> Started:
        execution = f"arn:aws:states:eu-central-1:1:execution:backup:{self.way.replace(' ', '-')}-{number}"
        self.rig.executions.alive.add(execution)
        request = BackupRequest(
            database=DATABASE,
            tier=Tier.MANUAL,
            execution=execution,
            execution_started_at=now().replace(microsecond=0) + timedelta(seconds=number),
        )
        rig = self.rig
        started: Started = self._call(
            "snapshot.start",
            lambda: start_backup(
                request, protected=rig.protected, points=rig.points, holds=rig.holds, executions=rig.executions
            ),
        )
        return started

    def _holder(self, point_id: str) -> HoldAnswer:
        """Be the function that is invoked with the one token of generation 1."""
        rig, end = self.rig, time.monotonic() + 600
        clock = Clock(now=now, sleep=lambda _: time.sleep(0.02), seconds_left=lambda: end - time.monotonic())
        request = HoldRequest(database=DATABASE, point_id=point_id, attempt=1, generation=1, task_token="token")
        ports = {"points": rig.points, "holds": rig.holds, "executions": rig.executions}
        return Holder(request, protected=rig.protected, clock=clock, **ports).run()  # type: ignore[arg-type]

    def _back_up(self) -> None:
        rig, point_id = self.rig, self._start(0).point_id
        rig.executions.waiting.add("token")
        with ThreadPoolExecutor(2) as pool:
            holders = [pool.submit(self._holder, point_id) for _ in range(2 if self.way == "at once" else 1)]
            try:
                rig.access(point_id, tries=100).using(lambda hold: hold)
                planned = self._call("snapshot.plan", lambda: rig.plan(point_id))
                for item in rig.items(planned.items.key):
                    request = DumpRequest.model_validate(item)
                    self._call("snapshot.dump", lambda request=request: rig.dump(request))
                self._call("snapshot.seal", lambda: rig.seal(point_id))
            finally:
                rig.holds.end(point_id)
            self._held(point_id, holders)

    def _held(self, point_id: str, holders: list[Future[HoldAnswer]]) -> None:
        called = self.called["snapshot.hold"] = Called([[each.result(timeout=30) for each in holders]])
        called.found.append(self.found())
        if self.way == "again":
            called.answers[0].append(self._holder(point_id))
            called.found.append(self.found())
        self._events.append(("snapshot.hold", lambda: self._holder(point_id)))

    def _verify(self) -> None:
        rig = self.rig
        (point_id,) = rig.points.points
        request = VerifyRequest(database=DATABASE, point_id=point_id, run="verify")
        ports: dict[str, Any] = {"archive": rig.archive, "scratch": rig.scratch}
        planned = self._call(
            "verify.plan", lambda: plan_verification(request, points=rig.points, signer=rig.signer, **ports)
        )
        for item in rig.items(planned.items.key):
            check = CheckRequest.model_validate(item)
            self._call("verify.check", lambda check=check: check_batch(check, digest_keys=rig.digest_keys, **ports))
        self._call("verify.conclude", lambda: rig.conclude(request))

    def _collect(self) -> None:
        rig, request = self.rig, CollectRequest(database=DATABASE, execution="arn:collect", run="collect")
        rig.executions.alive.add("arn:collect")
        ports: dict[str, Any] = {"points": rig.points, "holds": rig.holds, "executions": rig.executions}
        ports |= {"archive": rig.archive, "versions": rig.archive, "scratch": rig.scratch}
        self._call("retention.collect", lambda: Collection(now=now, seconds_left=lambda: 900, **ports).run(request))

    def _restore(self) -> None:
        made, world = self.machine, self.machine.world
        wanted = made.request(self.into, target_secret="other")
        assessed: Assessed = self._call("restore.assess", lambda: assess(wanted, world))
        step, at = RestoreStep(restore_id=assessed.restore_id), 0
        while True:
            slice_ = PrepareRequest(restore_id=assessed.restore_id, slice=at)
            prepared = self._call("restore.prepare", lambda slice_=slice_: prepare(slice_, world))
            at = prepared.slice
            if prepared.done:
                break
        stages = [(assessed.load, "restore.load", load)]
        stages += [(stage.items, "restore.finish", finish) for stage in assessed.finish]
        for items, name, function in [*stages, (assessed.prove, "restore.prove", prove)]:
            for item in made.items(items):
                self._call(name, lambda item=item, function=function: function(item, world))
        self._call("restore.compare", lambda: compare(step, world))
        self._call("restore.validate", lambda: validate(step, world))
        ended = ReportRequest(execution=wanted.execution, database=DATABASE, restore_id=assessed.restore_id)
        self._call("restore.report", lambda: report(ended, world))

    def _fail_another(self) -> None:
        """Begin a second backup, which fails at once."""
        rig, started = self.rig, self._start(60)
        request = FailRequest(
            database=DATABASE,
            execution=rig.points.get(started.point_id).execution,
            point_id=started.point_id,
            error="SnapshotLost",
            cause=json.dumps({"errorMessage": "It was lost."}),
        )
        self._call(
            "snapshot.fail",
            lambda: fail_backup(request, parameters=lambda _: rig.parameters, points=rig.points, holds=rig.holds),
        )

    def _capture(self) -> None:
        """Let a provider make a snapshot, and give up another one."""
        play, made = self.play, self.play.request(Tier.DAILY, scheduled=False)
        play.executions.alive.add(made.execution)
        self._call("snapshot.capture", lambda: play.capture(made))
        play.provider.becomes(progress=ProviderProgress.AVAILABLE, taken_at=NOON + MINUTE)
        play.now = NOON + 2 * MINUTE
        self._call("snapshot.capture", lambda: play.capture(made))
        given = AbandonRequest(**play.request(Tier.DAILY, run="two").model_dump(), error="ProviderStuck", cause="So.")
        self._call("snapshot.abandon", lambda: abandon_capture(given, database=play.database, points=play.points))

    def _prune(self) -> None:
        """Let an archive, whose objects lie in two buckets, and a snapshot expire."""
        cellar = self.cellar
        cellar.healthy()
        for facts in ({}, snapshot()):
            cellar.point(Tier.MANUAL, timedelta(days=9), **facts)
        self._call("retention.prune", cellar.prune)

    def _call_all_late(self) -> None:
        """Invoke every function once more with each event there was, now that all is over."""
        for name, function in self._events:
            try:
                self.called[name].late.append(function())
            except HoldfastError as error:
                self.called[name].late.append(error)
        self.called["late"] = Called(found=[self.afterwards, self.found()])

    def _clean_up(self) -> None:
        """Leave the target as it was, for the next way finds the same."""
        self.target.run("postgres", f'DROP DATABASE IF EXISTS "{self.into}"')
        for (role,) in self.target.run("postgres", "SELECT rolname FROM pg_roles WHERE oid > 16383"):
            self.target.run("postgres", f'DROP ROLE "{role}"')


def _passing(key: str) -> bool:
    """Answer whether the document only tells how an invocation went."""
    return "/reading/" in key or "/progress/" in key


def _retried(function: Callable[[], Any]) -> Any:
    """Invoke *function* as the state machine does, which retries what passes."""
    for _ in range(50):
        with suppress(Transient):
            return function()
        time.sleep(0.1)
    return function()
