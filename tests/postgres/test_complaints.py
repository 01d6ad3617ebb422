"""What programs complain of when a real server refuses them: each becomes the error that says what to do."""

from __future__ import annotations

import threading
import time

import pytest

from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.programs import run
from holdfast.errors import (
    AuthenticationFailed,
    BadConfiguration,
    DatabaseBusy,
    DatabaseUnreachable,
    HoldfastError,
    PrivilegeMissing,
    ProgramFailed,
    SnapshotNotReady,
)
from snapshot.servers import Databases

SCHEMA = ("--schema-only", "--format=custom", "--no-password")
TABLES = """
    CREATE TABLE t (a text);
    CREATE TABLE hidden (a text); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON hidden USING (false); GRANT SELECT ON hidden TO PUBLIC
"""
ROLES = """
    DO $$ BEGIN
        CREATE ROLE complaining LOGIN PASSWORD 'complaining'; CREATE ROLE barred LOGIN PASSWORD 'barred' CONNECTION LIMIT 0;
    EXCEPTION WHEN duplicate_object THEN END $$
"""  # noqa: E501


@pytest.fixture
def place(databases: Databases) -> ConnectionParameters:
    return databases.create(TABLES, ROLES)


def as_role(databases: Databases, place: ConnectionParameters, role: str, password: str = "") -> ConnectionParameters:
    return ConnectionParameters.from_secret(databases.server.url(place.dbname, role, password or role))


def complained(parameters: ConnectionParameters, *options: str, name: str = "holdfast") -> HoldfastError:
    """Return the error with which pg_dump fails."""
    with pytest.raises(HoldfastError) as found:
        run("pg_dump", [*SCHEMA, *options], parameters, application_name=name, doing="dumping")
    return found.value


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["--snapshot=zz"], SnapshotNotReady, id="no snapshot at all"),
        pytest.param(["--snapshot=00000099-0000001B-1"], SnapshotNotReady, id="a snapshot that is gone"),
        pytest.param(["--table=nothing.at_all"], ProgramFailed, id="no such table"),
    ],
)
def test_what_is_not_there_is_told(
    place: ConnectionParameters, options: list[str], expected: type[HoldfastError]
) -> None:
    assert type(complained(place, *options)) is expected


@pytest.mark.parametrize(
    ("role", "password", "expected", "remedy"),
    [
        pytest.param("complaining", "wrong", AuthenticationFailed, "password", id="password"),
        pytest.param("nobody", "", AuthenticationFailed, "password", id="no such role"),
        pytest.param("barred", "", DatabaseBusy, "tries again", id="limit of the role"),
        pytest.param("complaining", "", PrivilegeMissing, "Grant the missing privilege", id="privilege"),
    ],
)
def test_who_may_not_is_told_what_to_do(
    databases: Databases, place: ConnectionParameters, *, role: str, password: str, expected: type[HoldfastError],
    remedy: str,
) -> None:  # fmt: skip
    error = complained(as_role(databases, place, role, password))

    assert type(error) is expected
    assert remedy in error.hint


def test_rows_that_row_security_hides_are_told_with_the_remedy(
    databases: Databases, place: ConnectionParameters
) -> None:
    with pytest.raises(PrivilegeMissing) as found:
        run("pg_dump", ["--data-only", "--table=hidden"], as_role(databases, place, "complaining"))

    assert "row-level security" in found.value.message
    assert "BYPASSRLS" in found.value.hint


def test_a_database_that_lets_nobody_in_is_told_with_the_remedy(
    databases: Databases, place: ConnectionParameters
) -> None:
    with databases.connect(place) as session:
        session.execute(f"REVOKE CONNECT ON DATABASE {place.dbname} FROM PUBLIC".encode())

    error = complained(as_role(databases, place, "complaining"))

    assert type(error) is PrivilegeMissing
    assert "GRANT CONNECT" in error.hint
    assert type(complained(place.with_database("nowhere"))) is BadConfiguration


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param("pg_cancel_backend", DatabaseBusy, id="its statement cancelled"),
        pytest.param("pg_terminate_backend", DatabaseUnreachable, id="its session ended"),
    ],
)
def test_whom_somebody_stops_may_try_again(
    databases: Databases, place: ConnectionParameters, function: str, expected: type[HoldfastError]
) -> None:
    stop = f"SELECT {function}(pid) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
    name = f"holdfast {place.dbname}"
    errors = list[HoldfastError]()

    with databases.connect(place) as blocking, databases.connect(place) as stopping:
        blocking.autocommit = False
        blocking.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        dump = threading.Thread(target=lambda: errors.append(complained(place, name=name)))
        dump.start()
        while dump.is_alive() and not stopping.execute(stop.encode(), (name,)).fetchall():
            time.sleep(0.05)
        dump.join()
        blocking.rollback()

    assert [type(error) for error in errors] == [expected]


def test_who_waits_for_a_lock_for_too_long_may_try_again(databases: Databases, place: ConnectionParameters) -> None:
    with databases.connect(place) as blocking:
        blocking.autocommit = False
        blocking.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        error = complained(place, "--lock-wait-timeout=200")
        blocking.rollback()

    assert type(error) is DatabaseBusy
