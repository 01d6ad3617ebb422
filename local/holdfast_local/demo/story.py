"""
The steps: back up while the application writes, prove, lose, restore, prove again.

Everything goes through the deployed system, started as an operator starts it. The witness looks at the
source through the snapshot that the backup's holder has published, so that both saw the same moment.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg

from holdfast.adapters.aws import KmsDigestKeys
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.verify import Verification
from holdfast.errors import HoldfastError, SnapshotLost
from holdfast.model.keys import VERIFICATION, ArchiveKeys
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.ports.catalogue import Hold
from holdfast_cli.commands.show import manifest_of
from holdfast_cli.runs import Run
from holdfast_local.demo import seed, witness
from holdfast_local.demo.report import Check, Report, compared, differences
from holdfast_local.demo.stage import MAJOR, Stage
from holdfast_local.demo.timeline import Step, Timeline
from holdfast_local.demo.witness import Testimony
from holdfast_local.demo.writer import Writing
from holdfast_local.postgres import locate

LOOK_EVERY = 0.2
HOLD_SECONDS = 60
# pg_dump guards its scripts with a key that differs each time.
_RESTRICT = re.compile(r"^\\(un)?restrict .*$", re.MULTILINE)
_VERBATIM = re.compile(r"^(--.*|\s*)$", re.MULTILINE)


@dataclass
class Story:
    """One performance on *stage*, told by *timeline* and written into *report*."""

    stage: Stage
    timeline: Timeline
    report: Report
    point: RecoveryPoint | None = None
    source: Mapping[str, Testimony] = field(default_factory=dict)
    restored: Mapping[str, Testimony] = field(default_factory=dict)

    def play(self) -> None:
        """Go through every step; what fails is raised, what is not proven stands in the report."""
        with self.timeline.step("Note the schema") as step:
            before = self._schema()
            step.note = f"{len(before)} lines of DDL"
        point = self._back_up()
        self._lose()
        self._restore(point)
        with self.timeline.step("Witness the restored database") as step:
            self.restored = self._observe()
            self._took_in(step, self.restored)
        self._compare(point, before)

    def _back_up(self) -> RecoveryPoint:
        """Back up while the application writes and the witness looks through the same snapshot."""
        system, database = self.stage.system, self.stage.database
        self.report.bytes["database"] = seed.size(self.stage.url)
        with (
            ThreadPoolExecutor(1) as pool,
            Writing(self.stage.url) as application,
            self.timeline.step("Back up while the application writes") as step,
        ):
            request = {"database": database, "tier": "manual", "kind": "full", "reason": "demonstration"}
            network = system.database(database).network
            execution = system.runs.start(system.machine("backup", network), request, label=f"{database}-demo")
            testimony = pool.submit(self._witness_source, execution)
            self._follow(execution, step, testimony)
            self.source = testimony.result()
            written = application.transactions
            point = self._point_of(execution)
            step.bytes, step.note = point.bytes_plain, f"{written} transactions meanwhile; every byte read back"
        self.report.point = point.id
        self.report.bytes |= {"plain": point.bytes_plain, "stored": point.bytes_stored}
        self._check("The application wrote meanwhile", written > 0, f"{written} transactions")
        self._check("The recovery point is intact", point.restorable, f"state {point.state}")
        return point

    def _witness_source(self, execution: str) -> Mapping[str, Testimony]:
        with self.timeline.step("Witness the source at the backup's snapshot") as step:
            hold = self._hold(execution)
            with witness.standing(self.stage.url, hold.snapshot) as connection:
                found = witness.observe(connection, self.stage.server, self._key())
            self._took_in(step, found)
        return found

    def _hold(self, execution: str) -> Hold:
        """Wait until the holder has published its snapshot."""
        system, limit = self.stage.system, time.monotonic() + HOLD_SECONDS
        while time.monotonic() < limit and system.runs.get(execution).running:
            holder = system.points.lock_holder(self.stage.database)
            hold = system.holds.current(holder[0]) if holder and holder[1] == execution else None
            if hold:
                return hold
            time.sleep(LOOK_EVERY)
        raise SnapshotLost("The backup's holder published no snapshot for the witness.", execution=execution)

    def _lose(self) -> None:
        with self.timeline.step("Lose the database") as step:
            seed.drop(self.stage.server, self.stage.database)
            gone = not self._exists()
            step.note = "DROP DATABASE, and it is gone"
        self._check("The source is gone before the restore", gone)

    def _restore(self, point: RecoveryPoint) -> None:
        """Restore under the old name on the same server, as an operator does after an accident."""
        system, database = self.stage.system, self.stage.database
        with self.timeline.step("Restore and prove") as step:
            machine = system.machine("restore", system.database(database).network)
            request = {"database": database, "point": point.id, "into": database, "reason": "demonstration"}
            execution = system.runs.start(machine, request, label=f"restore-{database}")
            run = self._follow(execution, step)
            step.bytes, step.note = point.bytes_plain, "under its old name, on the same server"
        report = run.output["report"]
        self.report.restore = run.name
        self.report.bytes["restored_database"] = seed.size(self.stage.url)
        proven = system.points.get(point.id)
        self.point = proven
        self._check("The restore proved itself", bool(report["succeeded"]), report["sentence"])
        self._check("The recovery point is proven", proven.state is PointState.PROVEN, f"state {proven.state}")

    def _compare(self, point: RecoveryPoint, before: list[str]) -> None:
        with self.timeline.step("Compare source, archive and restored database"):
            self.report.tables = compared(*self._archived(point), self.source, self.restored)
            schema = differences(before, self._schema())
            open_holds = self.stage.system.holds.open(self.stage.database)
            lock = self.stage.system.points.lock_holder(self.stage.database)
        self._check("The schema is the same", not schema, schema)
        self._check("No snapshot is held open", not open_holds, ", ".join(hold.point_id for hold in open_holds))
        self._check("No lock is left", lock is None, str(lock or ""))

    def _follow(self, execution: str, step: Step, beside: Future[Mapping[str, Testimony]] | None = None) -> Run:
        """Wait for the execution and note its states; raises what made it, or what goes on *beside* it, fail."""
        look = self.stage.system.runs.look(execution)
        while (run := look.run()).running:
            if beside and beside.done() and (fault := beside.exception()):
                raise fault
            time.sleep(LOOK_EVERY)
        states = look.steps()
        for state in states:
            until = state.left_at or run.ended_at or state.entered_at
            begin = step.begin + (state.entered_at - run.started_at).total_seconds()
            items = f" ({state.total})" if state.total else ""
            name = f"{'  ' * state.depth}{state.name}{items}"
            step.details.append((name, begin, (until - state.entered_at).total_seconds()))
        if run.status != "SUCCEEDED":
            raise run.failure()
        return run

    def _archived(self, point: RecoveryPoint) -> tuple[Manifest, Verification]:
        manifest = manifest_of(self.stage.system, point)
        if manifest is None:
            raise HoldfastError(f"Recovery point {point.id} has no manifest.")
        key = ArchiveKeys(point.database).of_point(point.id, VERIFICATION)
        return manifest, Verification.model_validate_json(self.stage.system.archive.read(key))

    def _point_of(self, execution: str) -> RecoveryPoint:
        points = self.stage.system.points.newest_first(self.stage.database)
        return next(point for point in points if point.execution == execution)

    def _observe(self) -> Mapping[str, Testimony]:
        with witness.standing(self.stage.url) as connection:
            return witness.observe(connection, self.stage.server, self._key())

    def _key(self) -> bytes:
        """Return the digest key as the local cloud's root may; in AWS only the digesting functions may."""
        system = self.stage.system
        return KmsDigestKeys(system.client("kms"), system.output("DigestKey")).digest_key(self.stage.database)

    def _exists(self) -> bool:
        with psycopg.connect(self.stage.server.url()) as connection:
            query = "SELECT FROM pg_database WHERE datname = %s"
            return connection.execute(query, [self.stage.database]).fetchone() is not None

    def _schema(self) -> list[str]:
        """Return the database's DDL as pg_dump writes it, without comments and empty lines."""
        dumped = subprocess.run(
            [str(locate(MAJOR).path("pg_dump")), "--schema-only", "--dbname", self.stage.url],
            capture_output=True,
            text=True,
            check=True,
        )
        text = _RESTRICT.sub("", dumped.stdout)
        return [line for line in text.splitlines() if not _VERBATIM.fullmatch(line)]

    def _check(self, name: str, passed: bool, detail: str = "") -> None:
        self.report.checks.append(Check(name, passed, detail))

    @staticmethod
    def _took_in(step: Step, found: Mapping[str, Testimony]) -> None:
        rows = sum(each.rows for each in found.values())
        step.note = f"{len(found)} tables, {rows:,} rows, two digests each"
