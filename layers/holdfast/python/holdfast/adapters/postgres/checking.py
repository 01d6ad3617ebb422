"""Run the operator's own checks on a restored database."""

from __future__ import annotations

import psycopg

from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect

CHECK_SECONDS = 300


def connect_for_checks(parameters: ConnectionParameters) -> Connection:
    """Connect so that checks can only read, and none takes longer than `CHECK_SECONDS`."""
    return connect(
        parameters,
        application_name="holdfast restore validate",
        default_transaction_read_only="on",
        statement_timeout=f"{CHECK_SECONDS}s",
        lock_timeout="30s",
    )


def first_value(connection: Connection, query: str) -> str | None:
    """Return the first value that *query* yields, as the server writes it; nothing for no rows or NULL."""
    with connection.cursor() as cursor:
        cursor.execute(query.encode())
        result: psycopg.pq.abc.PGresult | None = cursor.pgresult
        if result is None or result.ntuples == 0 or result.nfields == 0:
            return None
        value = result.get_value(0, 0)
        return None if value is None else value.decode(errors="replace")
