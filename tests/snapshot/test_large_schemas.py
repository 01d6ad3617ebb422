"""Definitions that take longer to read than an invocation may last: the error says so, and nobody repeats it."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from holdfast.adapters.postgres import programs
from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint import Schema
from holdfast.errors import DatabaseBusy, Permanent, SchemaTooLarge
from holdfast.usecases.snapshot import definitions
from snapshot.rig import Rig
from snapshot.servers import Databases

TABLES = """
    CREATE TABLE films (id int PRIMARY KEY, title text);
    CREATE TABLE actors (id int PRIMARY KEY, film int REFERENCES films);
    CREATE VIEW titles AS SELECT title FROM films;
"""


@pytest.fixture
def rig(databases: Databases) -> Rig:
    return Rig(databases.create(TABLES), concurrency=1)


def ending_in(seconds: float) -> Callable[[], float]:
    """Return the clock of an invocation of which that many seconds are left before its reserve, from now on."""
    end = time.monotonic() + seconds / 0.8
    return lambda: end - time.monotonic()


def slowly(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> None:
    """Let the server take an hour for each fingerprint but the first *after*."""
    original, calls = definitions.read_schema, count()

    def slow(session: Connection) -> Schema:
        if next(calls) >= after:
            session.execute("SELECT pg_sleep(3600)")
        return original(session)

    monkeypatch.setattr(definitions, "read_schema", slow)


COUNTED = r"definitions of shop, which has 2 tables, 2 indexes and \d other objects\. Give functions\.timeout_seconds"


def test_a_schema_that_pg_dump_cannot_write_down_in_time_fails_the_batch_for_good(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "pg_dump"
    slow.write_text("#!/bin/sh\nexec sleep 3600\n")
    slow.chmod(0o755)
    started = rig.start()
    with rig.holding(started.point_id):
        rig.plan(started.point_id)
        monkeypatch.setattr(programs, "locate", lambda _: str(slow))

        with pytest.raises(SchemaTooLarge, match=f"while pg_dump wrote them down: .*{COUNTED}") as failure:
            rig.dump(rig.request(started.point_id, 0), ending_in(0.5))

    assert isinstance(failure.value, Permanent)


def test_a_schema_that_cannot_be_compared_in_time_fails_the_plan_for_good(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly(monkeypatch)
    started = rig.start()

    with rig.holding(started.point_id), pytest.raises(SchemaTooLarge, match=f"while planning the backup: .*{COUNTED}"):
        rig.plan(started.point_id, ending_in(0.5))


def test_a_schema_that_cannot_be_compared_in_time_fails_the_seal_for_good(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly(monkeypatch, after=2)
    started = rig.start()
    with rig.holding(started.point_id):
        rig.dump_all(rig.plan(started.point_id))

        with pytest.raises(SchemaTooLarge, match=f"while comparing the schema .*{COUNTED}"):
            rig.seal(started.point_id, ending_in(0.5))


def test_a_statement_that_somebody_else_cancels_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(session: Connection) -> Schema:
        session.execute("SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)")
        raise AssertionError

    monkeypatch.setattr(definitions, "read_schema", cancelled)
    started = rig.start()

    with rig.holding(started.point_id), pytest.raises(DatabaseBusy, match="57014"):
        rig.plan(started.point_id)
