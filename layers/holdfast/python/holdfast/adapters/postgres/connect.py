"""Connect to a server, with bounds on every wait and errors of our own tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.adapters.postgres.translation import from_libpq, from_sqlstate, translate
from holdfast.errors import DatabaseUnreachable

__all__ = [
    "Connection",
    "ConnectionParameters",
    "connect",
    "from_libpq",
    "from_sqlstate",
    "set_where_known",
    "translate",
]

Connection = psycopg.Connection[TupleRow]

CONNECT_SECONDS = 10
# A provider that puts idle servers to sleep needs some seconds to wake one; a second attempt waits longer.
WAKE_SECONDS = 30

_KEEPALIVES: dict[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 60,  # NAT gateways drop what is silent for 350 s
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 120_000,
}


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
        for name, value in settings.items():
            connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, str(value)))
    except psycopg.Error as error:
        connection.close()
        raise translate(error, doing="setting up the session", at=_name(parameters)) from error
    return connection


def set_where_known(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set settings for the session; a server that does not know one yet has no such limit."""
    for name, value in settings.items():
        connection.execute(
            "SELECT pg_catalog.set_config(name, %s, false) FROM pg_catalog.pg_settings WHERE name = %s", (value, name)
        )


def _second_attempt(parameters: ConnectionParameters, application_name: str) -> Connection:
    try:
        return _attempt(parameters, application_name, WAKE_SECONDS)
    except psycopg.OperationalError as error:
        raise translate(error, at=_name(parameters)) from error


def _attempt(parameters: ConnectionParameters, application_name: str, seconds: int) -> Connection:
    keywords: dict[str, Any] = {
        **parameters.keywords(),
        **_KEEPALIVES,
        "connect_timeout": seconds,
        "application_name": application_name,
        # Names are sent and read as UTF-8, whatever the database's encoding; the server converts them.
        "client_encoding": "UTF8",
    }
    # prepare_threshold=None: a prepared statement buys nothing here and breaks behind a pooler.
    return psycopg.connect(autocommit=True, prepare_threshold=None, **keywords)


def _name(parameters: ConnectionParameters) -> str:
    return f"{parameters.host}:{parameters.port}"
