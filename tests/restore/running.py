"""Run a restore as its state machine does, with functions that die where a test wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

from fakes import MemoryExecutions, MemoryRestores, MemoryScratch, MemorySecrets
from holdfast.adapters.counted_archive import CountedArchive
from holdfast.configuration import parse
from holdfast.contracts.restore import (
    Assessed,
    BatchRequest,
    PrepareRequest,
    Proof,
    Report,
    ReportRequest,
    RestoreRequest,
    RestoreStep,
    Validation,
)
from holdfast.contracts.work import Items
from holdfast.errors import HoldfastError
from holdfast.usecases.restore.assess import assess
from holdfast.usecases.restore.compare import compare
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from holdfast.usecases.restore.prepare import prepare
from holdfast.usecases.restore.prove import prove
from holdfast.usecases.restore.report import report
from holdfast.usecases.restore.validate import validate
from holdfast.usecases.restore.world import World
from restore.archiving import Archiver

_NUMBERS = count(1)
PLENTY = 900.0


@dataclass
class Ended:
    """How a restore ended."""

    assessed: Assessed
    proof: Proof
    validation: Validation
    report: Report


@dataclass
class Machine:
    """The restore's state machine over one world."""

    world: World
    archiver: Archiver
    secrets: MemorySecrets
    restores: MemoryRestores
    executions: MemoryExecutions
    scratch: MemoryScratch
    between: dict[str, Callable[[], object]] = field(default_factory=dict)

    def request(self, into: str, **others: object) -> RestoreRequest:
        return RestoreRequest.model_validate(
            {
                "database": "shop",
                "into": into,
                "execution": f"arn:aws:states:eu-central-1:1:execution:restore:run-{next(_NUMBERS)}",
                "execution_started_at": datetime.now(UTC).isoformat(),
                **others,
            }
        )

    def assess(self, into: str, **others: object) -> Assessed:
        return assess(self.request(into, **others), self.world)

    def run(self, into: str, **others: object) -> Ended:
        return self.go_on(self.assess(into, **others))

    def go_on(self, assessed: Assessed) -> Ended:
        """Run everything after the assessment; repeating it converges."""
        step = RestoreStep(restore_id=assessed.restore_id)
        self.prepare(assessed)
        self.between.get("prepared", lambda: None)()
        self.map(assessed.load, load)
        self.between.get("loaded", lambda: None)()
        for stage in assessed.finish:
            self.map(stage.items, finish)
        self.between.get("finished", lambda: None)()
        self.map(assessed.prove, prove)
        self.between.get("read back", lambda: None)()
        proof = compare(step, self.world)
        validation = validate(step, self.world) if proof.proven else Validation(restore_id="", passed=False, checks=0)
        error = "" if proof.proven and validation.passed else "RestoreNotProven"
        return Ended(assessed, proof, validation, self.report(assessed, error, "" if not error else proof.reason))

    def prepare(self, assessed: Assessed) -> None:
        at, done = 0, False
        while not done:
            answer = prepare(PrepareRequest(restore_id=assessed.restore_id, slice=at), self.world)
            at, done = answer.slice, answer.done

    def items(self, items: Items) -> list[BatchRequest]:
        body = self.scratch.read(items.key)
        assert body is not None
        return [BatchRequest.model_validate(item) for item in json.loads(body)]

    def map(self, items: Items, function: Callable[[BatchRequest, World], object]) -> None:
        for request in self.items(items):
            function(request, self.world)

    def report(self, assessed: Assessed, error: str = "", cause: str = "") -> Report:
        run = self.restores.get(assessed.restore_id)
        assert run is not None
        request = ReportRequest(
            execution=run.execution, database="shop", restore_id=assessed.restore_id, error=error, cause=cause
        )
        return report(request, self.world)

    def fails(self, into: str, **others: object) -> HoldfastError:
        """Return the error with which assessing ends, and report it as the machine does."""
        request = self.request(into, **others)
        try:
            assess(request, self.world)
        except HoldfastError as error:
            report(
                ReportRequest(
                    execution=request.execution, database="shop", error=type(error).__name__, cause=str(error)
                ),
                self.world,
            )
            return error
        raise AssertionError("The restore was not refused.")

    def with_time(self, seconds: float) -> Machine:
        return replace(self, world=replace(self.world, seconds_left=lambda: seconds))


def machine(archiver: Archiver, secrets: dict[str, str], *, checks: Sequence[Mapping[str, str]] = ()) -> Machine:
    """Return a machine over fakes; the database is `shop`, the target `other`."""
    document = {
        "holdfast": {"region": "eu-central-1"},
        "databases": {"shop": {"provider": "postgres", "checks": list(checks)}},
        "targets": {"other": {}},
    }
    configuration = parse(json.dumps(document))
    parts = MemorySecrets(secrets), MemoryRestores(), MemoryExecutions(), MemoryScratch()
    kept, restores, executions, scratch = parts
    world = World(
        archive=CountedArchive(archiver.archive),
        versions=archiver.archive,
        scratch=scratch,
        points=archiver.points,
        restores=restores,
        executions=executions,
        signer=archiver.signer,
        digest_keys=archiver.digest_keys,
        secrets=kept,
        configuration=configuration,
        now=lambda: datetime.now(UTC),
        seconds_left=lambda: PLENTY,
    )
    return Machine(world, archiver, kept, restores, executions, scratch)
