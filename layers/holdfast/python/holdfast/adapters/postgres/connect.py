"""Connect to a server, with bounds on every wait and errors of our own tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from holdfast.adapters.postgres.parameters import KEEPALIVES, ConnectionParameters
from holdfast.adapters.postgres.translation import from_libpq, from_sqlstate, translate
from holdfast.errors import DatabaseUnreachable

__all__ = [
    "Connection",
    "ConnectionParameters",
    "connect",
    "connect_to_source",
    "from_libpq",
    "from_sqlstate",
    "set_where_known",
    "translate",
]

Connection = psycopg.Connection[TupleRow]

CONNECT_SECONDS = 10
# A provider that puts idle servers to sleep needs some seconds to wake one; a second attempt waits longer.
WAKE_SECONDS = 30

PROBE_SECONDS = 5

SOURCE: dict[str, str | int] = {
    "statement_timeout": "10min",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "5min",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "search_path": "",
    "row_security": "off",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "client_min_messages": "warning",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # The server's own, for the other direction: a session whose client vanished ends within minutes.
    "tcp_keepalives_idle": 60,
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 120_000,
}
"""Of every session that reads a source, whatever server, database and role have set: those are for the application."""
SOURCE_PROGRAMS: dict[str, str | int] = {
    name: SOURCE[name]
    for name in (
        "default_transaction_read_only",
        "idle_in_transaction_session_timeout",
        "jit",
        "lock_timeout",
        "max_parallel_workers_per_gather",
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_keepalives_count",
        "tcp_user_timeout",
    )
} | {"statement_timeout": 0}
"""The same for psql, pg_dump and pg_dumpall, which set the rest themselves, but only once they are connected."""
SOURCE_WHERE_KNOWN = {"transaction_timeout": "0", "idle_session_timeout": "0"}


def connect(parameters: ConnectionParameters, *, application_name: str, **settings: str | int) -> Connection:
    """
    Return a connection in autocommit mode; *settings* are set for the session once it exists.

    Settings travel as statements, not as start-up options, which poolers refuse or forget. Raises
    `AuthenticationFailed`, `TlsRefused`, `DatabaseUnreachable`, `DatabaseBusy`, `PooledEndpoint` or
    `BadConfiguration` (no such database).
    """
    try:
        connection = _attempt(parameters, application_name, CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        if not isinstance(found := translate(error, at=_name(parameters)), DatabaseUnreachable):
            raise found from error
        connection = _second_attempt(parameters, application_name)
    try:
        _set(connection, settings)
    except psycopg.Error as error:
        connection.close()
        raise translate(error, doing="setting up the session", at=_name(parameters)) from error
    return connection


def connect_to_source(parameters: ConnectionParameters, *, application_name: str, **settings: str | int) -> Connection:
    """
    Return a connection that reads a source: `SOURCE` holds in it, and *settings* over that.

    Raises what `connect` raises.
    """
    connection = connect(parameters, application_name=application_name, **{**SOURCE, **settings})
    try:
        set_where_known(connection, SOURCE_WHERE_KNOWN)
    except psycopg.Error as error:
        connection.close()
        raise translate(error, doing="setting up the session", at=_name(parameters)) from error
    return connection


def probe(parameters: ConnectionParameters, *, application_name: str) -> Connection | None:
    """Return a connection, or nothing when nobody answers within `PROBE_SECONDS`; other refusals are raised."""
    try:
        return _attempt(parameters, application_name, PROBE_SECONDS)
    except psycopg.OperationalError as error:
        found = translate(error, at=_name(parameters))
        if isinstance(found, DatabaseUnreachable):
            return None
        raise found from error


def set_where_known(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set settings for the session; a server that does not know one yet has no such limit."""
    _set(connection, settings, where="WHERE pg_catalog.current_setting(name, true) IS NOT NULL")


def _set(connection: Connection, settings: Mapping[str, str | int], *, where: str = "") -> None:
    """Set everything by one statement: a role's own limits hold until it ends."""
    if settings:
        given = "unnest(%s::text[], %s::text[]) AS given (name, value)"
        query = f"SELECT pg_catalog.set_config(name, value, false) FROM {given} {where}"  # noqa: S608  # constants
        connection.execute(query.encode(), ([*settings], [str(value) for value in settings.values()]))


def _second_attempt(parameters: ConnectionParameters, application_name: str) -> Connection:
    try:
        return _attempt(parameters, application_name, WAKE_SECONDS)
    except psycopg.OperationalError as error:
        raise translate(error, at=_name(parameters)) from error


def _attempt(parameters: ConnectionParameters, application_name: str, seconds: int) -> Connection:
    keywords: dict[str, Any] = {
        **parameters.keywords(),
        **KEEPALIVES,
        "connect_timeout": seconds,
        "application_name": application_name,
        # Names are sent and read as UTF-8, whatever the database's encoding; the server converts them.
        "client_encoding": "UTF8",
    }
    # prepare_threshold=None: a prepared statement buys nothing here and breaks behind a pooler.
    return psycopg.connect(autocommit=True, prepare_threshold=None, **keywords)


def _name(parameters: ConnectionParameters) -> str:
    return f"{parameters.host}:{parameters.port}"
