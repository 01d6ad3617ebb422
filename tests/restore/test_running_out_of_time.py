"""Steps that nobody can go on with say that they were too long for an invocation, before it is cut off."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from holdfast.adapters.postgres import programs
from holdfast.adapters.postgres.connect import Connection
from holdfast.errors import Permanent, StepTooLong
from holdfast.usecases.limiting import Limit
from holdfast.usecases.restore import assess, definitions
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

NAPS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(3600)%%' AND pid <> pg_backend_pid()"


@pytest.fixture
def ready(databases: Databases, archiver: Archiver, wired: Callable[..., Machine]) -> Machine:
    source = databases.create("CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t; INSERT INTO t VALUES (1)")
    archiver.take(databases.parameters(source))
    return wired(source)


def hurried(machine: Machine, seconds: float) -> Machine:
    """Return *machine* in an invocation of which that many seconds are left before its reserve, from now on."""
    end = time.monotonic() + seconds / 0.8
    return replace(machine, world=replace(machine.world, seconds_left=lambda: end - time.monotonic()))


def test_definitions_that_cannot_be_read_back_in_time_end_the_comparison_for_good(
    ready: Machine, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, pid = tmp_path / "pg_dump", tmp_path / "pid"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec /bin/sleep 3600\n")
    slow.chmod(0o755)
    into = databases.name()

    def hurry() -> None:
        monkeypatch.setattr(programs, "locate", lambda _: str(slow))
        ready.world = hurried(ready, 2).world

    ready.between["read back"] = hurry

    with pytest.raises(
        StepTooLong, match=rf"while comparing the database {into}: . s did not suffice.*timeout_seconds"
    ):
        ready.run(into)

    assert issubclass(StepTooLong, Permanent)
    # On a busy machine time may be up before it was started.
    assert not pid.exists() or not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_query_that_was_cut_short_is_no_difference(
    ready: Machine, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(connection: Connection, *rest: object, **more: object) -> object:
        try:
            connection.execute("SELECT pg_sleep(3600)")
        except psycopg.Error:
            return (), []
        raise AssertionError("It was not cut short.")

    into = databases.name()
    monkeypatch.setattr(definitions, "reworded", slowly)
    ready.between["read back"] = lambda: setattr(ready, "world", hurried(ready, 2).world)

    with pytest.raises(StepTooLong):
        ready.run(into)

    assert databases.run("postgres", NAPS) == [(0,)]


def test_a_target_that_does_not_answer_in_time_ends_the_assessment_for_good(
    ready: Machine, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(connection: Connection) -> None:
        connection.execute("SELECT pg_sleep(3600)")

    monkeypatch.setattr(assess, "server_facts", slowly)

    with pytest.raises(StepTooLong, match="while looking at the target's server"):
        hurried(ready, 0.5).assess(databases.name())


def test_work_that_asks_nobody_else_is_ended_between_its_steps() -> None:
    limit = Limit(lambda: 0.0, lambda doing, seconds: StepTooLong(f"{doing} {seconds:.0f}"))

    with pytest.raises(StepTooLong, match="looking 0"):
        limit.check("looking")


def test_chunks_that_are_too_many_to_look_for_end_the_assessment_for_good(
    ready: Machine, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, left = assess.archived_roles, [900.0]

    def slowly(*arguments: object) -> object:
        left[0] = 1.0
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(assess, "archived_roles", slowly)
    slow = replace(ready, world=replace(ready.world, seconds_left=lambda: left[0]))

    with pytest.raises(StepTooLong, match="while looking for the 1 chunks"):
        slow.assess(databases.name())
