"""What a connection that fails is called."""

from __future__ import annotations

import socket
from dataclasses import replace

import psycopg
import pytest

from holdfast.adapters.postgres.complaints import cleansed, complaint
from holdfast.adapters.postgres.connect import ConnectionParameters, connect
from holdfast.adapters.postgres.programs import run
from holdfast.adapters.postgres.translation import from_libpq, from_sqlstate, translate
from holdfast.errors import (
    AuthenticationFailed,
    BadConfiguration,
    DatabaseBusy,
    DatabaseUnreachable,
    HoldfastError,
    PooledEndpoint,
    PrivilegeMissing,
    ProgramFailed,
    ServerTooNew,
    SnapshotNotReady,
    TlsRefused,
    Transient,
    UnexpectedState,
)
from snapshot.servers import Databases


def by_psycopg(parameters: ConnectionParameters) -> None:
    connect(parameters, application_name="test").close()


def by_psql(parameters: ConnectionParameters) -> None:
    run("psql", ["-XqAt", "-c", "SELECT 1"], parameters)


WAYS = pytest.mark.parametrize("reach", [by_psycopg, by_psql])


@WAYS
def test_a_wrong_password_is_named_without_showing_it(databases: Databases, reach: object) -> None:
    parameters = replace(databases.parameters("postgres"), password="wr0ng")

    with pytest.raises(AuthenticationFailed) as refused:
        reach(parameters)  # type: ignore[operator]

    assert "wr0ng" not in str(refused.value)


@WAYS
def test_an_unknown_role_is_refused_like_a_wrong_password(databases: Databases, reach: object) -> None:
    with pytest.raises(AuthenticationFailed):
        reach(replace(databases.parameters("postgres"), user="nobody"))  # type: ignore[operator]


@WAYS
def test_a_database_that_does_not_exist_is_a_fault_of_the_secret(databases: Databases, reach: object) -> None:
    with pytest.raises(BadConfiguration, match="no such database"):
        reach(databases.parameters("nowhere"))  # type: ignore[operator]


@WAYS
def test_a_closed_port_is_unreachable(reach: object) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        parameters = ConnectionParameters(host="127.0.0.1", port=port, user="ann", password="x", dbname="shop")

        with pytest.raises(DatabaseUnreachable, match=str(port)):
            reach(parameters)  # type: ignore[operator]


def test_a_server_without_tls_is_refused_when_tls_is_required(databases: Databases) -> None:
    with pytest.raises(TlsRefused):
        by_psycopg(replace(databases.parameters("postgres"), sslmode="require"))


def test_settings_hold_for_the_session(databases: Databases) -> None:
    with connect(databases.parameters("postgres"), application_name="test", lock_timeout="7s") as session:
        assert session.execute("SHOW lock_timeout").fetchone() == ("7s",)


def test_a_role_without_a_free_connection_is_busy(databases: Databases) -> None:
    role = databases.role("CONNECTION LIMIT 1")
    parameters = replace(databases.parameters("postgres"), user=role, password="secret")

    with connect(parameters, application_name="test"), pytest.raises(DatabaseBusy):
        by_psycopg(parameters)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('FATAL:  password authentication failed for user "ann"', AuthenticationFailed),
        ('FATAL:  no pg_hba.conf entry for host "::1", user "ann", database "x", no encryption', TlsRefused),
        ('FATAL:  no pg_hba.conf entry for host "::1", user "ann", database "x", SSL encryption', AuthenticationFailed),
        ("SSL error: certificate verify failed", TlsRefused),
        ('server certificate for "a" does not match host name "b"', TlsRefused),
        ("server does not support SSL, but SSL was required", TlsRefused),
        ("SSL connection has been closed unexpectedly", DatabaseUnreachable),
        ("FATAL:  sorry, too many clients already", DatabaseBusy),
        ("FATAL:  remaining connection slots are reserved for roles", DatabaseBusy),
        ("FATAL:  unsupported startup parameter: extra_float_digits", PooledEndpoint),
        ("FATAL:  the database system is starting up", DatabaseUnreachable),
        ("connection timeout expired", DatabaseUnreachable),
        ('could not translate host name "tls.example.com" to address', DatabaseUnreachable),
        ('FATAL:  database "ssl" does not exist', BadConfiguration),
        ('could not translate host name "x" to address', DatabaseUnreachable),
    ],
)
def test_tells_failed_connections_apart(message: str, expected: type[HoldfastError]) -> None:
    assert type(from_libpq(message)) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("55P03", DatabaseBusy),
        ("40001", DatabaseBusy),
        ("57014", DatabaseBusy),
        ("57P01", DatabaseUnreachable),
        ("08006", DatabaseUnreachable),
        ("42501", PrivilegeMissing),
        ("28P01", AuthenticationFailed),
        ("3D000", BadConfiguration),
        ("XX001", UnexpectedState),
    ],
)
def test_tells_codes_apart(code: str, expected: type[HoldfastError]) -> None:
    error = from_sqlstate(code, doing="reading public.users")

    assert type(error) is expected
    assert code in str(error)
    assert "reading public.users" in str(error)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("psql:<stdin>:3: ERROR:  42501", PrivilegeMissing),
        ("ERROR:  55P03", DatabaseBusy),
        ("pg_dump: error: aborting because of server version mismatch", ServerTooNew),
        ('pg_dump: error: query failed: ERROR:  invalid snapshot identifier: "x"', SnapshotNotReady),
        ("pg_dump: error: query failed: ERROR:  permission denied for table users", PrivilegeMissing),
        ("pg_dump: error: query failed: server closed the connection unexpectedly", DatabaseUnreachable),
        ("pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout", DatabaseBusy),
        ("pg_restore: error: could not open input file", ProgramFailed),
        ("", ProgramFailed),
    ],
)
def test_understands_what_programs_complain_of(text: str, expected: type[HoldfastError]) -> None:
    assert type(complaint("program", 1, text)) is expected


def test_a_program_that_was_killed_may_be_tried_again() -> None:
    assert isinstance(complaint("psql", -9, ""), Transient)


def test_complaints_lose_rows_statements_and_secrets() -> None:
    text = """\
pg_restore: error: could not execute query: ERROR:  invalid input syntax for type integer: "card 4711"
DETAIL:  Key (email)=(ann@example.com) already exists.
CONTEXT:  COPY users, line 1: "ann@example.com"
Command was: INSERT INTO users VALUES ('ann@example.com')
pg_restore: connecting to postgres://ann:hunter2@db/shop with hunter2
"""

    said = cleansed(text, ["hunter2"])

    assert "could not execute query" in said
    for secret in ("4711", "ann@example.com", "hunter2", "INSERT"):
        assert secret not in said


@pytest.mark.parametrize(
    "raising",
    [
        "RAISE 'card 4711' USING ERRCODE = 'AB123'",
        "RAISE 'card 4711' USING ERRCODE = 'undefined_table'",
        "PERFORM 'card 4711'::int",
    ],
)
def test_what_functions_of_the_application_say_is_not_repeated(databases: Databases, raising: str) -> None:
    parameters = databases.create()
    with databases.connect(parameters) as session, pytest.raises(psycopg.Error) as found:
        session.execute(f"DO $$BEGIN {raising}; END$$".encode())

    assert "4711" not in str(translate(found.value))


def test_what_the_server_says_about_names_is_repeated(databases: Databases) -> None:
    parameters = databases.create()
    with databases.connect(parameters) as session, pytest.raises(psycopg.Error) as found:
        session.execute("SELECT FROM missing")

    assert 'relation "missing" does not exist' in str(translate(found.value))
