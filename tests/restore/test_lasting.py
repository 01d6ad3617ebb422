"""Statements that take longer than any invocation: the server goes on, and the next invocation follows it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from holdfast.contracts.restore import Assessed, BatchRequest
from holdfast.contracts.restoring import Progress
from holdfast.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    StillWorking,
)
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

LIMIT = 2.0
"""Seconds that an invocation of these tests may last."""
NOISY = """
    CREATE FUNCTION slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RAISE NOTICE 'row %', n; PERFORM pg_catalog.pg_sleep(0.02); RETURN n; END$$;
"""
TABLE = "CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, 300);"


@pytest.fixture
def made(databases: Databases, archiver: Archiver, wired: Callable[..., Machine]) -> Callable[..., tuple[Machine, str]]:
    """Return a function that archives what scripts make, and says where it is restored to."""

    def make(*scripts: str) -> tuple[Machine, str]:
        source = databases.create(*scripts)
        archiver.take(databases.parameters(source))
        return wired(source), databases.name()

    return make


@dataclass
class Invocations:
    """Runs batches as the state machine does: each invocation has *limit* seconds, and `StillWorking` is retried."""

    machine: Machine
    limit: float = LIMIT

    def __post_init__(self) -> None:
        self.said: list[str] = []
        self.progress: list[Progress] = []

    def once(self, request: BatchRequest) -> None:
        until = time.monotonic() + self.limit
        finish(request, replace(self.machine.world, seconds_left=lambda: until - time.monotonic()))

    def until_done(self, request: BatchRequest, between: Callable[[int], object] = lambda _: None) -> None:
        for number in range(200):
            try:
                self.once(request)
                return
            except (StillWorking, DatabaseBusy, DatabaseUnreachable) as error:
                self.said.append(str(error))
                self.progress += self.told()
                between(number)
        raise AssertionError(f"It never ended: {self.said[-1]}")

    def told(self) -> list[Progress]:
        found = self.machine.scratch.objects
        return [Progress.model_validate_json(found[key]) for key in sorted(found) if "/progress/" in key]


def up_to_stage(machine: Machine, into: str, stage: str) -> tuple[Assessed, list[BatchRequest]]:
    """Restore everything before the first stage whose name has *stage* in it, and return that stage's batches."""
    assessed = machine.assess(into)
    machine.prepare(assessed)
    machine.map(assessed.load, load)
    for found in assessed.finish:
        if stage in found.name:
            return assessed, machine.items(found.items)
        machine.map(found.items, finish)
    raise AssertionError(f"There is no stage {stage}.")


def test_an_index_that_takes_several_invocations_is_built_once_and_told_of(
    made: Callable[..., tuple[Machine, str]], databases: Databases
) -> None:
    machine, into = made(NOISY, TABLE, "CREATE INDEX i ON t (slow(a))")
    assessed, (request, *_) = up_to_stage(machine, into, "indexes")
    invocations = Invocations(machine)
    sessions: list[object] = []

    invocations.until_done(request, lambda _: sessions.extend(builders(databases, into)))

    assert len(set(sessions)) == 1
    assert len(invocations.said) >= 2
    assert any(re.search(r"index public\.i.*: building index: .*, for \d+ s", text) for text in invocations.said)
    assert any(progress.percent is not None for progress in invocations.progress)
    assert [progress.ended for progress in invocations.told()] == [True]
    assert machine.go_on(assessed).proof.differences == ()


def builders(databases: Databases, name: str) -> list[object]:
    found = databases.run(
        "postgres",
        f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE '%slow%' AND state = 'active'"
        " AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
    )
    return [row[0] for row in found]
