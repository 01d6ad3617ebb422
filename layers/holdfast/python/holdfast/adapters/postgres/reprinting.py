"""Let a server print archived queries anew, so that texts of two major versions can be compared."""

from __future__ import annotations

import re

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import literal, qualified
from holdfast.model.database_entries import statements_in

_TAIL = re.compile(r"\n  WITH (?:NO DATA|LOCAL CHECK OPTION|CASCADED CHECK OPTION)$")
_COPY = "pg_temp.holdfast_reprinted"
_CREATE = re.compile(r"CREATE(?= (?P<what>FUNCTION|PROCEDURE|RULE) )")
_ROUTINES = "SELECT oid, pg_catalog.pg_get_functiondef(oid) FROM pg_catalog.pg_proc WHERE "
_RULES = "SELECT oid, pg_catalog.pg_get_ruledef(oid), ev_enabled FROM pg_catalog.pg_rewrite WHERE "
_OURS = "xmin::text::bigint = pg_catalog.pg_current_xact_id()::text::bigint % 4294967296"
_PRINTED_ROUTINES, _PRINTED_RULES = ((each + "oid = %s", each + _OURS) for each in (_ROUTINES, _RULES))
_PRINTED = "pg_catalog.pg_get_viewdef({}::pg_catalog.regclass)"


def prints_alike(connection: Connection, name: tuple[str, str], definitions: tuple[str, str]) -> bool | None:
    """
    Answer whether the archived definition is that of the view *name*, or nothing where the server cannot tell.

    *definitions* are the archived and the restored one. The archived query becomes a temporary view, which never is
    committed, and the server prints both.
    """
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


def replaces_alike(connection: Connection, definition: str) -> bool | None:
    """
    Answer whether the archived *definition* of a routine or rule changes nothing, or nothing where it cannot be run.

    It replaces what was restored, the server prints what came of it, and all of that is taken back.
    """
    create = _CREATE.match(definition)
    if not create:
        return None
    again = f"{create[0]} OR REPLACE{definition[create.end() :]}"
    printed, changed = _PRINTED_ROUTINES if create["what"] != "RULE" else _PRINTED_RULES
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(again.encode())
            new = connection.execute(changed.encode()).fetchall()
        old = [connection.execute(printed.encode(), (oid,)).fetchone() for oid, *_ in new]
    except psycopg.Error:
        return None
    return bool(new) and old == new


def _parts(definition: str) -> tuple[str, str, tuple[str, ...]]:
    """Return what precedes the query, the query, and what follows it."""
    create, *rest = statements_in(definition)
    head, _, query = create.partition(" AS\n")
    tail = _TAIL.search(query)
    return head, query[: tail.start()] if tail else query, (tail[0] if tail else "", *rest)
