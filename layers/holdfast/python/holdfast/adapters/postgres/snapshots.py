"""Export a snapshot under locks, import it, and export it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
from psycopg import errors

from holdfast.adapters.postgres.connect import Connection, translate
from holdfast.adapters.postgres.quoting import literal
from holdfast.adapters.postgres.relations import Relation, lockable
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.errors import DatabaseBusy, HoldfastError, SchemaChanged, SnapshotLost, SnapshotNotReady

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
TABLES_PER_LOCK = 500
ATTEMPTS = 10
LOST = (errors.InvalidParameterValue, errors.UndefinedObject, errors.ObjectNotInPrerequisiteState)
LOST_CODES = frozenset(kind.sqlstate for kind in LOST)
_GONE = (errors.UndefinedTable, errors.InvalidSchemaName)

_READABLE_CATALOGUES = """
    SELECT name FROM (VALUES ('pg_catalog.pg_largeobject'), ('pg_catalog.pg_largeobject_metadata')) AS c (name)
    WHERE pg_catalog.has_table_privilege(name, 'SELECT') ORDER BY name
"""

# A copy of the cluster has its identifier too, but was not started in the same microsecond.
_SERVER = "pg_catalog.to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"

# The column is the snapshot's, the function's answer is of now: TRUNCATE and all that rewrites a table part them.
_REWRITTEN = """
    SELECT count(*) FROM pg_catalog.pg_class c
    WHERE c.oid = ANY (%s::oid[]) AND c.relfilenode IS DISTINCT FROM pg_catalog.pg_relation_filenode(c.oid)
"""

# A standby has no position of its own, but that up to which it has replayed its primary's.
_POSITION = """
    SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
           ELSE pg_catalog.pg_current_wal_lsn() END
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """A snapshot that other sessions of *server* can import while this lasts; *lsn* is empty where unknown."""

    snapshot: str
    server: str
    taken_at: datetime
    lsn: str
    tables: tuple[Relation, ...]


def export_first(connection: Connection, selection: Selection = EVERYTHING) -> Exported:
    """
    Lock all tables of *selection* in a new transaction, then take and export its snapshot.

    LOCK TABLE is the transaction's first statement and takes no snapshot itself: taken before the locks, the
    snapshot would see 0 rows in a table that somebody truncates in between. The list of tables is read again
    under the snapshot. What was created meanwhile is locked late, and looked at whether it was truncated or rewritten
    before; all starts over when it was, or when a table went. Raises `DatabaseBusy` when a lock is not granted within
    the session's lock_timeout, or the schema never stands still.
    """
    for _ in range(ATTEMPTS):
        listed, catalogues = lockable(connection, selection), _catalogues(connection)
        known = set(listed)
        connection.execute(BEGIN)
        try:
            _lock(connection, listed)
            _lock_catalogues(connection, catalogues)
            exported = _export(connection, listed)
            seen = lockable(connection, selection)
            late = tuple(table for table in seen if table not in known)
            same = known <= set(seen) and _catalogues(connection) == catalogues
            if same and _lock_late(connection, late):
                return replace(exported, tables=seen)
        except _GONE:
            pass
        connection.execute("ROLLBACK")
    raise DatabaseBusy("Tables are created or dropped so often that no snapshot could be taken.")


def export_again(
    connection: Connection,
    snapshot: str,
    *,
    server: str = "",
    another: Callable[[], Connection],
    selection: Selection = EVERYTHING,
) -> Exported:
    """
    Import *snapshot*, lock the same tables and export it again; the first exporter may then end.

    Both hold the locks for a moment, so that no TRUNCATE fits in between: it would empty a table under
    the snapshot. That the exporter outlived our wait for the locks is proven by importing once more, in
    *another* session: a server lets nobody import from a transaction that has begun to end. Raises
    `SnapshotNotReady` when its exporter is gone, `SnapshotLost` on another server, and `SchemaChanged`.
    """
    begin_imported(connection, snapshot, server)
    listed = lockable(connection, selection)
    try:
        _lock(connection, listed)
        _lock_catalogues(connection, _catalogues(connection))
    except _GONE as error:
        raise SchemaChanged("A schema or table was renamed while it was backed up.") from error
    with another() as witness:
        begin_imported(witness, snapshot, server)
    return _export(connection, listed)


def begin_imported(connection: Connection, snapshot: str, server: str = "") -> None:
    """
    Begin a read-only transaction that sees *snapshot* of *server*.

    Raises `SnapshotNotReady` when its exporter is gone, and `SnapshotLost` when another server answers.
    """
    refuse_another_server(connection, server)
    connection.execute(BEGIN)
    try:
        connection.execute(f"SET TRANSACTION SNAPSHOT {literal(snapshot)}".encode())
    except LOST as error:
        connection.execute("ROLLBACK")
        raise SnapshotNotReady("The snapshot is not exported any more.") from error


def refuse_another_server(connection: Connection, server: str) -> None:
    """
    Raise `SnapshotLost` when *connection* does not lead to *server*; an empty one is any.

    Identifiers of snapshots are small numbers, and count from the start: after a failover, another program's snapshot
    may have the very one on the new server.
    """
    row = connection.execute(f"SELECT {_SERVER}".encode()).fetchone() if server else (server,)
    if row != (server,):
        raise another_server()


def server_condition(server: str) -> str:
    """Return an expression that is true on *server*."""
    return f"{_SERVER} = {literal(server)}"


def another_server() -> SnapshotLost:
    """Return the error for a server on which the snapshot cannot be."""
    return SnapshotLost("Another server answers than the one that holds the snapshot: it failed over, or restarted.")


def _lock(connection: Connection, tables: Sequence[Relation]) -> None:
    """
    Lock the tables that have rows.

    Not partitioned ones above them, which have none: CREATE TABLE … PARTITION OF locks those exclusively, and whoever
    makes partitions by the hour would end every backup that takes longer. A TRUNCATE of the whole waits for its parts.
    """
    tables = [table for table in tables if table.leaf]
    for first in range(0, len(tables), TABLES_PER_LOCK):
        names = ", ".join(f"ONLY {table.sql}" for table in tables[first : first + TABLES_PER_LOCK])
        connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE".encode())


def _lock_late(connection: Connection, tables: Sequence[Relation]) -> bool:
    """Lock *tables* although the snapshot is taken; False when one had been truncated or rewritten by then."""
    if not tables:
        return True
    _lock(connection, tables)
    row = connection.execute(_REWRITTEN, ([table.oid for table in tables if table.leaf],)).fetchone()
    return row is not None and row[0] == 0


def _lock_catalogues(connection: Connection, names: Sequence[str]) -> None:
    """Lock the catalogues of large objects: VACUUM FULL moves their rows to other blocks, like any table's."""
    if names:
        connection.execute(f"LOCK TABLE {', '.join(names)} IN ACCESS SHARE MODE".encode())


def _catalogues(connection: Connection) -> tuple[str, ...]:
    """Return the catalogues of large objects that the role may read, and so may lock."""
    return tuple(name for (name,) in connection.execute(_READABLE_CATALOGUES).fetchall())


def _export(connection: Connection, listed: tuple[Relation, ...]) -> Exported:
    query = f"SELECT pg_catalog.pg_export_snapshot(), {_SERVER}, pg_catalog.clock_timestamp()"
    row = connection.execute(query.encode()).fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM
    return Exported(row[0], row[1], row[2].astimezone(UTC), _position(connection), listed)


def _position(connection: Connection) -> str:
    """Return the write-ahead log's position, or nothing where the provider does not tell."""
    connection.execute("SAVEPOINT position")
    try:
        row = connection.execute(_POSITION).fetchone()
    except psycopg.Error:
        connection.execute("ROLLBACK TO SAVEPOINT position")
        return ""
    connection.execute("RELEASE SAVEPOINT position")
    return str(row[0] or "") if row else ""


def lock_failure(error: psycopg.Error, at: str) -> HoldfastError:
    """Return the error for a hold that could not be opened."""
    if isinstance(error, errors.LockNotAvailable):
        return DatabaseBusy(
            "A table could not be locked for reading: something holds it exclusively.",
            hint="Wait for the migration or maintenance to end; Holdfast tries again by itself.",
        )
    if isinstance(error, errors.OutOfMemory):
        return DatabaseBusy(
            "The server has no room for one lock per table.", hint="Raise max_locks_per_transaction and restart it."
        )
    return translate(error, doing="opening the snapshot", at=at)
