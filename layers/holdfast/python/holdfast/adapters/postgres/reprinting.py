"""Let a server print archived queries anew, so that texts of two major versions can be compared."""

from __future__ import annotations

import re

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import literal, qualified
from holdfast.model.database_entries import statements_in

_TAIL = re.compile(r"\n  WITH (?:NO DATA|LOCAL CHECK OPTION|CASCADED CHECK OPTION)$")
_COPY = "pg_temp.holdfast_reprinted"
_PRINTED = "pg_catalog.pg_get_viewdef({}::pg_catalog.regclass)"


def prints_alike(connection: Connection, name: tuple[str, str], definitions: tuple[str, str]) -> bool | None:
    """
    Answer whether the archived definition is that of the view *name*, or nothing where the server cannot tell.

    Without a name it is no view, and only its text could be compared. *definitions* are the archived and the
    restored one. The archived query becomes a temporary view, which never is committed, and the server prints both.
    """
    if not name[1]:
        return None
    (head, query, rest), (other_head, _, other_rest) = (_parts(definition) for definition in definitions)
    if (head, rest) != (other_head, other_rest):
        return False
    copy, original = (_PRINTED.format(literal(each)) for each in (_COPY, qualified(*name)))
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"CREATE TEMPORARY VIEW {_COPY.partition('.')[2]} AS {query}".encode())
            row = connection.execute(f"SELECT {copy} = {original}".encode()).fetchone()
    except psycopg.Error:
        return None
    return bool(row and row[0])


def _parts(definition: str) -> tuple[str, str, tuple[str, ...]]:
    """Return what precedes the query, the query, and what follows it."""
    create, *rest = statements_in(definition)
    head, _, query = create.partition(" AS\n")
    tail = _TAIL.search(query)
    return head, query[: tail.start()] if tail else query, (tail[0] if tail else "", *rest)
