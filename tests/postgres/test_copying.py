"""COPY through psql: what comes out, and what never passes for complete."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.adapters.postgres import copying
from holdfast.adapters.postgres.connect import Connection, ConnectionParameters
from holdfast.adapters.postgres.copying import CopySession, pins, range_query
from holdfast.adapters.postgres.snapshots import BEGIN
from holdfast.contracts.documents import RangePlan
from holdfast.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    HoldfastError,
    PrivilegeMissing,
    SnapshotNotReady,
)
from snapshot.servers import Databases

NUMBERS = "CREATE TABLE numbers AS SELECT n, repeat('x', 100) AS text FROM generate_series(1, 20000) n"


@pytest.fixture
def parameters(databases: Databases) -> ConnectionParameters:
    return databases.create(NUMBERS)


@pytest.fixture
def holder(databases: Databases, parameters: ConnectionParameters) -> Iterator[Connection]:
    with databases.connect(parameters) as session:
        session.execute(BEGIN)
        yield session


def export(holder: Connection) -> str:
    row = holder.execute("SELECT pg_export_snapshot()").fetchone()
    assert row
    return str(row[0])


def copied(parameters: ConnectionParameters, snapshot: str, *queries: str, encoding: str = "UTF8") -> list[bytes]:
    with CopySession(parameters, snapshot, settings=pins(encoding)) as session:
        session.open()
        texts = [b"".join(map(bytes, session.rows(query))) for query in queries]
        session.close()
    return texts


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("SELECT 1, NULL, 'a'", b"1\t\\N\ta\n", id="a row"),
        pytest.param("SELECT 1 WHERE false", b"", id="no rows"),
        pytest.param("SELECT FROM generate_series(1, 3)", b"\n\n\n", id="rows without columns"),
        pytest.param(r"SELECT '\.'", b"\\\\.\n", id="a value that looks like the end"),
        pytest.param(r"SELECT E'a\n\\.\nb'", b"a\\n\\\\.\\nb\n", id="lines that look like the end"),
        pytest.param(r"SELECT E'a\tb\\\r'", b"a\\tb\\\\\\r\n", id="tabs and backslashes"),
        pytest.param("SELECT '\u00fc\U0001f418'", "\u00fc\U0001f418\n".encode(), id="beyond ASCII"),
        pytest.param("SELECT ''", b"\n", id="an empty text"),
        pytest.param("SELECT 0.1::float8, 'infinity'::date", b"0.1\tinfinity\n", id="numbers"),
        pytest.param("SELECT date '2026-01-31', interval '1 day'", b"2026-01-31\t1 day\n", id="dates"),
        pytest.param("SELECT timestamptz '2026-01-31 12:00+02'", b"2026-01-31 10:00:00+00\n", id="times in UTC"),
        pytest.param(r"SELECT '\x00ff'::bytea, 12.5::money", b"\\\\x00ff\t$12.50\n", id="bytes and money"),
    ],
)
def test_values_come_out_as_pinned(
    parameters: ConnectionParameters, holder: Connection, query: str, expected: bytes
) -> None:
    assert copied(parameters, export(holder), query) == [expected]


def test_statements_are_told_apart(parameters: ConnectionParameters, holder: Connection) -> None:
    assert copied(parameters, export(holder), "SELECT 1", "SELECT 2 WHERE false", "SELECT 3") == [b"1\n", b"", b"3\n"]


@pytest.mark.parametrize("limit", [1, 50, 107, 108, 4096, 1 << 20])
def test_pieces_end_at_rows_and_together_are_everything(
    parameters: ConnectionParameters, holder: Connection, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(copying, "CHUNK_BYTES", limit)

    with CopySession(parameters, export(holder), settings=pins("UTF8")) as session:
        session.open()
        pieces = [bytes(piece) for piece in session.rows("SELECT * FROM public.numbers WHERE n <= 500 ORDER BY n")]
        session.close()

    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= limit or piece.count(b"\n") == 1 for piece in pieces)
    assert b"".join(pieces) == b"".join(b"%d\t%s\n" % (n, b"x" * 100) for n in range(1, 501))


def test_a_row_longer_than_a_chunk_stays_whole(parameters: ConnectionParameters, holder: Connection) -> None:
    length = copying.CHUNK_BYTES + 100

    with CopySession(parameters, export(holder), settings=pins("UTF8")) as session:
        session.open()
        pieces = [piece.size for piece in session.rows(f"SELECT repeat('x', {length}) UNION ALL SELECT 'y'")]
        session.close()

    assert pieces == [length + 1, 2]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({}, 'SELECT "a", "b""c" FROM ONLY "s"."t"'),
        ({"end_block": 8}, 'SELECT "a", "b""c" FROM ONLY "s"."t" WHERE ctid < \'(8,0)\''),
        ({"first_block": 8}, 'SELECT "a", "b""c" FROM ONLY "s"."t" WHERE ctid >= \'(8,0)\''),
        (
            {"first_block": 8, "end_block": 16, "condition": "WHERE a > 1"},
            'SELECT "a", "b""c" FROM ONLY "s"."t" WHERE ctid >= \'(8,0)\' AND ctid < \'(16,0)\' AND ( a > 1)',
        ),
    ],
)
def test_a_range_becomes_a_query(plan: dict[str, object], expected: str) -> None:
    whole = {"table": 0, "schema_name": "s", "name": "t", "columns": ("a", 'b"c'), "bytes": 0, **plan}

    assert range_query(RangePlan.model_validate(whole)) == expected


def test_a_range_is_read_as_a_range_of_tids(
    databases: Databases, parameters: ConnectionParameters, holder: Connection
) -> None:
    plan = RangePlan(table=0, schema_name="public", name="numbers", columns=("n",), first_block=4, end_block=8, bytes=0)
    with databases.connect(parameters) as session:
        explained = "\n".join(row[0] for row in session.execute(f"EXPLAIN {range_query(plan)}".encode()).fetchall())

    assert "Tid Range Scan" in explained


@pytest.mark.parametrize("victim", ["psql", "session"])
def test_rows_of_a_copy_that_dies_midway_never_end_well(
    databases: Databases, parameters: ConnectionParameters, holder: Connection, victim: str
) -> None:
    with CopySession(parameters, export(holder), settings=pins("UTF8")) as session:
        session.open()
        pieces = session.rows("SELECT repeat('x', 1000) FROM generate_series(1, 200000)")
        next(pieces)
        if victim == "psql":
            os.kill(session._program.pid, signal.SIGKILL)
        else:
            with databases.connect(parameters) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'holdfast dump' AND datname = current_database()"
                )

        with pytest.raises((DatabaseBusy, DatabaseUnreachable)):
            list(pieces)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("SELECT pg_terminate_backend(pg_backend_pid())", DatabaseUnreachable, id="session ended"),
        pytest.param("SELECT 1 / (n - 9000) FROM public.numbers", HoldfastError, id="an error after many rows"),
        pytest.param("SELECT * FROM public.nowhere", HoldfastError, id="no such table"),
    ],
)
def test_errors_come_out_after_whatever_was_read(
    parameters: ConnectionParameters, holder: Connection, query: str, expected: type[HoldfastError]
) -> None:
    with pytest.raises(expected):
        copied(parameters, export(holder), query)


def test_an_error_quotes_no_row(parameters: ConnectionParameters, holder: Connection) -> None:
    with pytest.raises(HoldfastError) as failed:
        copied(parameters, export(holder), "SELECT (text || 'secret')::int FROM public.numbers")

    assert "secret" not in str(failed.value)
    assert "22P02" in str(failed.value)


def test_a_missing_privilege_names_what_was_read(
    databases: Databases, parameters: ConnectionParameters, holder: Connection
) -> None:
    role = databases.role()
    with CopySession(
        replace(parameters, user=role, password="secret"), export(holder), settings=pins("UTF8")
    ) as session:
        session.open()
        with pytest.raises(PrivilegeMissing, match=r"public\.numbers"):
            list(session.rows("SELECT * FROM public.numbers", what="public.numbers"))


def test_a_snapshot_that_is_gone_is_not_ready(parameters: ConnectionParameters, holder: Connection) -> None:
    snapshot = export(holder)
    holder.execute("ROLLBACK")

    with pytest.raises(SnapshotNotReady):
        copied(parameters, snapshot, "SELECT 1")


def test_the_snapshot_is_what_is_read(
    databases: Databases, parameters: ConnectionParameters, holder: Connection
) -> None:
    snapshot = export(holder)
    with databases.connect(parameters) as session:
        session.execute("DELETE FROM numbers")

    assert copied(parameters, snapshot, "SELECT count(*) FROM public.numbers") == [b"20000\n"]


def test_a_copy_behind_a_waiting_migration_gives_up(
    databases: Databases, parameters: ConnectionParameters, holder: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(copying._SESSION, "lock_timeout", "200ms")
    snapshot = export(holder)
    with databases.connect(parameters) as migration:
        migration.execute("BEGIN; LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(DatabaseBusy):
            copied(parameters, snapshot, "SELECT * FROM public.numbers")


def test_the_password_is_on_no_command_line(parameters: ConnectionParameters, holder: Connection) -> None:
    with CopySession(parameters, export(holder), settings=pins("UTF8")) as session:
        line = Path(f"/proc/{session._program.pid}/cmdline").read_bytes()

    assert b"psql" in line
    assert parameters.password.encode() not in line


def test_another_encoding_passes_unchanged(databases: Databases) -> None:
    with databases.connect(databases.parameters("postgres")) as session:
        name = f"latin_{os.getpid()}"
        session.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'".encode())
    parameters = databases.parameters(name)
    with databases.connect(parameters) as session:
        session.execute("CREATE TABLE t AS SELECT chr(252) AS a")
        session.execute(BEGIN)

        assert copied(parameters, export(session), "SELECT a FROM public.t", encoding="LATIN1") == [b"\xfc\n"]
