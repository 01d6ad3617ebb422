"""Judge whether a server and role can be backed up, before anything is locked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from holdfast.adapters.postgres import room
from holdfast.adapters.postgres.connect import Connection, ConnectionParameters
from holdfast.adapters.postgres.programs import run
from holdfast.adapters.postgres.quoting import identifier, qualified
from holdfast.adapters.postgres.relations import LOCKABLE
from holdfast.adapters.postgres.selecting import choose
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.errors import (
    DatabaseBusy,
    PooledEndpoint,
    PrivilegeMissing,
    ServerTooNew,
    ServerTooOld,
    SourceRefused,
    StandbyRefused,
    UnexpectedState,
)
from holdfast.model.budget import Share, share

OLDEST = 13
NAMED = 5
TID_RANGES_SINCE = 140_000
WHOLE_TABLE_BYTES = 10 << 30
"""What one invocation surely copies in its 15 minutes: 12 MB a second, also from a small server far away."""
# Gateways that speak for one server each and give out cancel keys of their own; their poolers have other names.
_GATEWAYS = (".neon.tech", ".neon.build", ".vercel-storage.com")

_POOLED_HOSTS: tuple[tuple[str, str], ...] = (
    (r"^(?P<endpoint>[^.]+)-pooler(?P<rest>\..+)$", r"\g<endpoint>\g<rest>"),
    (r"^.+\.proxy-[^.]+\..+\.rds\.amazonaws\.com(\.cn)?$", ""),
    (r"^.+\.pooler\.supabase\.com$", ""),
)

_UNREADABLE = f"""
    SELECT listed.nspname, listed.relname, pg_catalog.has_schema_privilege(listed.nspname, 'USAGE'), listed.oid
    FROM ({LOCKABLE}) listed
    WHERE NOT (pg_catalog.has_table_privilege(listed.oid, 'SELECT')
               AND pg_catalog.has_schema_privilege(listed.nspname, 'USAGE'))
"""  # noqa: S608  # constants only

# pg_dump reads the values of sequences.
_UNREADABLE_SEQUENCES = """
    SELECT n.nspname, c.relname, pg_catalog.has_schema_privilege(n.oid, 'USAGE'), c.oid
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT (pg_catalog.has_sequence_privilege(c.oid, 'SELECT') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                        AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2
"""

# An object's owner may read it, and those whom its access list names. Whoever reads the pages needs neither.
_UNREADABLE_LARGE_OBJECTS = f"""
    SELECT m.oid FROM pg_catalog.pg_largeobject_metadata m
    WHERE NOT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')
      AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.aclexplode(m.lomacl) a
                      WHERE a.privilege_type = 'SELECT'
                        AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))
    ORDER BY m.oid LIMIT {NAMED}
"""  # noqa: S608  # a number of our own

# A server before 14 reads no ranges of a table, so one invocation has to copy all of it.
_TOO_LARGE = f"""
    SELECT listed.nspname, listed.relname, listed.oid FROM ({LOCKABLE}) listed
    WHERE pg_catalog.pg_table_size(listed.oid) > %s
    ORDER BY 1, 2
"""  # noqa: S608  # constants only

_FILTERED = f"""
    SELECT listed.nspname, listed.relname, listed.oid FROM ({LOCKABLE}) listed
    WHERE pg_catalog.row_security_active(listed.oid)
"""  # noqa: S608  # constants only


_UNLOGGED = f"""
    SELECT listed.nspname, listed.relname FROM ({LOCKABLE}) listed
    JOIN pg_catalog.pg_class c ON c.oid = listed.oid
    WHERE c.relkind = 'r' AND c.relpersistence = 'u'
"""  # noqa: S608  # constants only


def refuse_pooled_host(parameters: ConnectionParameters) -> None:
    """Raise `PooledEndpoint` when the host's name says that a pooler answers there, naming the direct host."""
    for pattern, direct in _POOLED_HOSTS:
        found = re.match(pattern, parameters.host)
        if found:
            better = f"Give the direct host instead: {found.expand(direct)}." if direct else PooledEndpoint.hint
            raise PooledEndpoint(f"{parameters.host} is the address of a connection pooler.", hint=better)


def refuse_pooler(connection: Connection, parameters: ConnectionParameters) -> None:
    """
    Raise `PooledEndpoint` when somebody between us and the server hands out its connections.

    A pooler greets its clients with a process id of its own making; the server's own is another one.
    """
    if parameters.host.endswith(_GATEWAYS):
        return
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        raise PooledEndpoint(f"A connection pooler answers at {parameters.host}:{parameters.port}.")


def refuse_server(connection: Connection, *, client_major: int, standby: bool = False) -> None:
    """Raise `ServerTooOld`, `ServerTooNew` or, unless a *standby* is meant, `StandbyRefused`."""
    version = connection.info.server_version
    major = version // 10_000
    if major < OLDEST:
        raise ServerTooOld(f"The server is PostgreSQL {major}; Holdfast backs up {OLDEST} to {client_major}.")
    if major > client_major:
        raise ServerTooNew(f"The server is PostgreSQL {major}, but Holdfast's pg_dump is {client_major}.")
    row = connection.execute("SELECT pg_catalog.pg_is_in_recovery()").fetchone()
    if row is None or not row[0]:
        return
    if not standby:
        raise StandbyRefused("The server is a standby.")
    if unlogged := connection.execute(_UNLOGGED).fetchall():
        raise SourceRefused(
            f"A standby has no rows of unlogged tables: {_named(unlogged, 'table')}.",
            hint="Back the primary up, leave them out with exclude_tables, or run ALTER TABLE … SET LOGGED.",
        )


def refuse_unreadable(connection: Connection, selection: Selection = EVERYTHING) -> None:
    """Raise `PrivilegeMissing` naming what of *selection* the role may not read, or reads through a filter."""
    chosen = choose(connection, selection)
    role = identifier(connection.info.user)
    for query, kind in ((_UNREADABLE, "table"), (_UNREADABLE_SEQUENCES, "sequence")):
        if unreadable := [row for row in connection.execute(query).fetchall() if chosen.takes(row[-1])]:
            raise PrivilegeMissing(
                f"The role {role} may not read {_named(unreadable, kind)}.",
                hint=f"Run {_grant(unreadable[0], kind, role)} or, for everything at once on PostgreSQL 14 or later: "
                f"GRANT pg_read_all_data TO {role};",
                role=connection.info.user,
            )
    _refuse_unreadable_large_objects(connection, selection, role)
    filtered = [row for row in connection.execute(_FILTERED).fetchall() if chosen.takes_rows(row[-1])]
    if filtered:
        raise PrivilegeMissing(
            f"Row security hides rows of {_named(filtered, 'table')} from the role {role}.",
            hint=f"Run as a superuser: ALTER ROLE {role} BYPASSRLS;",
            role=connection.info.user,
        )


def _refuse_unreadable_large_objects(connection: Connection, selection: Selection, role: str) -> None:
    hidden = connection.execute(_UNREADABLE_LARGE_OBJECTS).fetchall() if selection.everything else []
    if hidden:
        raise PrivilegeMissing(
            f"The role {role} may not read the large objects {', '.join(str(oid) for (oid,) in hidden)}.",
            hint=f"Run GRANT SELECT ON LARGE OBJECT {hidden[0][0]} TO {role}; or, for all at once, as a superuser: "
            f"GRANT SELECT ON pg_catalog.pg_largeobject TO {role};",
            role=connection.info.user,
        )


def refuse_too_large(connection: Connection, selection: Selection = EVERYTHING) -> None:
    """Raise `ServerTooOld` naming tables that a server without ranges cannot give in one invocation's time."""
    if connection.info.server_version >= TID_RANGES_SINCE:
        return
    chosen = choose(connection, selection)
    large = [
        row for row in connection.execute(_TOO_LARGE, (WHOLE_TABLE_BYTES,)).fetchall() if chosen.takes_rows(row[-1])
    ]
    if large:
        raise ServerTooOld(
            f"PostgreSQL 13 gives a table only as a whole, and one function copies no more than "
            f"{WHOLE_TABLE_BYTES >> 30} GiB in its time: {_named(large, 'table')}.",
            hint="Upgrade the server to PostgreSQL 14 or later, or leave these rows out with exclude_rows.",
        )


def refuse_without_room_for_locks(connection: Connection, *, workers: int, selection: Selection = EVERYTHING) -> None:
    """Raise `SourceRefused` naming the setting to raise when the server's lock table is too small for the backup."""
    if refusal := room.locks(connection, choose(connection, selection)).refusal(workers):
        raise SourceRefused(refusal[0], hint=refusal[1])


def share_of_connections(connection: Connection, *, wanted: int | None) -> Share:
    """
    Return how many workers may copy at once.

    Raises `SourceRefused` when the limits can never fit them, and `DatabaseBusy` when they do not fit just now.
    """
    found = share(room.connections(connection), wanted=wanted)
    if found.workers:
        return found
    raise (DatabaseBusy if found.ever else SourceRefused)(found.sentence, hint=found.remedy)


def client_version() -> str:
    """Return the version of our pg_dump, for example 18.6."""
    found = re.search(rb"(\d+(?:\.\d+)*)", run("pg_dump", ["--version"], doing="asking for its version"))
    if not found:
        raise UnexpectedState("pg_dump did not tell its version.")
    return found[1].decode()


def _grant(found: Sequence[Any], kind: str, role: str) -> str:
    """Return the statements that let *role* read what was found: schema, name, and whether the schema is open."""
    grant = f"GRANT SELECT ON {kind.upper()} {_sql(found)} TO {role};"
    return grant if found[2] else f"GRANT USAGE ON SCHEMA {identifier(found[0])} TO {role}; {grant}"


def _sql(found: Sequence[Any]) -> str:
    return qualified(found[0], found[1])


def _named(found: Sequence[Sequence[Any]], kind: str) -> str:
    names = ", ".join(_sql(one) for one in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"the {kind}{'s' if len(found) > 1 else ''} {names}{more}"
