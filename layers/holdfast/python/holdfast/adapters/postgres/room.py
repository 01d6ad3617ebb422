"""Ask a server how many connections and locks it has room for."""

from __future__ import annotations

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.relations import LOCKABLE
from holdfast.adapters.postgres.selecting import ALL, Chosen
from holdfast.model.budget import Connections, Limit
from holdfast.model.lock_slots import LockTable

# What belongs to sessions of others is hidden from an ordinary role, except their role and database: a session in
# a database whose kind is hidden counts. Superusers are bound by neither their role's nor the database's limit.
_CONNECTIONS = """
    WITH used AS (
        SELECT datid, usesysid FROM pg_catalog.pg_stat_activity
        WHERE pid <> pg_catalog.pg_backend_pid()
          AND (backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL))
    )
    SELECT pg_catalog.current_setting('max_connections')::int
           - pg_catalog.current_setting('superuser_reserved_connections')::int
           - coalesce(pg_catalog.current_setting('reserved_connections', true)::int, 0),
           (SELECT count(*) FROM used),
           CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END,
           (SELECT count(*) FROM used WHERE usesysid = r.oid),
           CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END,
           (SELECT count(*) FROM used WHERE datid = d.oid)
    FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
    WHERE r.rolname = SESSION_USER AND d.datname = pg_catalog.current_database()
"""

# Locks that PostgreSQL keeps in a session's own memory need no entry of the table.
_LOCKS = f"""
    WITH listed AS (
        SELECT * FROM ({LOCKABLE}) lockable WHERE %s::oid[] IS NULL OR lockable.oid = ANY (%s::oid[])
    ), held AS (
        SELECT locktype, database, relation, page, tuple, virtualxid, transactionid::text, classid, objid, objsubid
        FROM pg_catalog.pg_locks
        WHERE NOT fastpath AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
    )
    SELECT (SELECT count(*) FROM listed),
           (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid IN (SELECT oid FROM listed)),
           (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
           pg_catalog.current_setting('max_locks_per_transaction')::int,
           pg_catalog.current_setting('max_connections')::int
           + pg_catalog.current_setting('max_prepared_transactions')::int,
           (SELECT count(*) FROM (SELECT DISTINCT * FROM held) objects),
           (SELECT count(*) FROM held)
"""  # noqa: S608  # constants only


def connections(connection: Connection) -> Connections:
    """Return the limits on connections of server, role and database, not counting *connection* itself."""
    row = connection.execute(_CONNECTIONS).fetchone()
    assert row is not None  # noqa: S101  # we are that role in that database
    server, used, role_most, role_used, database_most, database_used = row
    role, database = connection.info.user, connection.info.dbname
    limits = [
        Limit("The server", server, used, "Raise max_connections or take a larger server"),
        Limit(
            f"The role {role}",
            role_most,
            role_used,
            f"Run ALTER ROLE {identifier(role)} CONNECTION LIMIT -1;",
            shared=False,
        ),
        Limit(
            f"The database {database}",
            database_most,
            database_used,
            f"Run ALTER DATABASE {identifier(database)} CONNECTION LIMIT -1;",
        ),
    ]
    return Connections(tuple(limit for limit in limits if limit.most >= 0))


def locks(connection: Connection, chosen: Chosen = ALL) -> LockTable:
    """Return what a backup of what is *chosen* would lock, and the lock table's room."""
    relations = None if chosen.relations is None else list(chosen.relations)
    row = connection.execute(_LOCKS.encode(), (relations, relations)).fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM
    tables, indexes, views, per_transaction, sessions, objects, holds = row
    return LockTable(
        tables=tables,
        indexes=indexes,
        views=views,
        per_transaction=per_transaction,
        sessions=sessions,
        others_objects=objects,
        others_holds=holds,
    )
