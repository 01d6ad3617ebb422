"""See whether the tables of a database can take rows: they are there, empty, and have the columns."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import qualified
from holdfast.adapters.postgres.reading import sequence_values
from holdfast.contracts.manifest import Manifest, MaterialisedView
from holdfast.model.tables import TableName

_COLUMNS = """
    SELECT n.nspname, c.relname, coalesce(pg_catalog.array_agg(a.attname::text), '{}')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute a
      ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relkind = 'r' GROUP BY 1, 2
"""
_NAMES = """
    SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = %s
"""
_OBJECTS = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_largeobject_metadata)"
_TRIGGERS = """
    SELECT EXISTS (
        SELECT 1 FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE g.tgenabled <> 'D' AND n.nspname || '.' || c.relname = ANY (%s))
"""
# Since PostgreSQL 15 a setting can be granted.
_MAY_BE_QUIET = """
    SELECT r.rolsuper OR CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 150000
        THEN pg_catalog.has_parameter_privilege('session_replication_role', 'SET') ELSE false END
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""
_FALLING = "SELECT schemaname, sequencename FROM pg_catalog.pg_sequences WHERE increment_by < 0"
_AT_ONCE = 200


def obstacles(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each table, sequence and large object that stands in the way of the manifest's rows."""
    known = {TableName(schema, name): set(columns) for schema, name, columns in connection.execute(_COLUMNS).fetchall()}
    ready = list[tuple[TableName, str]]()
    for table in manifest.tables:
        name = TableName(table.schema_name, table.name)
        if name not in known:
            yield f"The table {name} is missing."
        elif missing := [column for column in table.columns if column not in known[name]]:
            yield f"The table {name} has no column {', '.join(missing)}."
        else:
            ready.append((name, table.condition))
    yield from (f"The table {name} has rows already." for name in _with_rows(connection, ready))
    sequences = {TableName(schema, name) for schema, name in connection.execute(_NAMES, ("S",)).fetchall()}
    for one in manifest.sequences:
        if (name := TableName(one.schema_name, one.name)) not in sequences:
            yield f"The sequence {name} is missing."
    yield from _sequences_ahead(connection, manifest)
    if manifest.large_objects and _is_so(connection, _OBJECTS):
        yield "There are large objects already."


def needs_quiet(connection: Connection, manifest: Manifest) -> bool:
    """Answer whether triggers, those of foreign keys included, would see the rows."""
    names = [f"{table.schema_name}.{table.name}" for table in manifest.tables]
    row = connection.execute(_TRIGGERS, (names,)).fetchone()
    return bool(row and row[0])


def may_be_quiet(connection: Connection) -> bool:
    """Answer whether our role may keep triggers still."""
    return _is_so(connection, _MAY_BE_QUIET)


def views_there(connection: Connection, manifest: Manifest) -> tuple[MaterialisedView, ...]:
    """Return those of the manifest's materialised views that the database has."""
    there = {(schema, name) for schema, name in connection.execute(_NAMES, ("m",)).fetchall()}
    return tuple(view for view in manifest.materialised_views if (view.schema_name, view.name) in there)


def _sequences_ahead(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each sequence that setting would take back: it would give numbers out a second time."""
    archived = {(one.schema_name, one.name): one for one in manifest.sequences}
    falling = {(schema, name) for schema, name in connection.execute(_FALLING).fetchall()}
    for (schema, name), found in sequence_values(connection, list(archived)).items():
        one, sign = archived[schema, name], -1 if (schema, name) in falling else 1
        if (sign * found.value, found.called) > (sign * one.value, one.called):
            yield f"The sequence {TableName(schema, name)} is at {found.value}, ahead of the point's {one.value}."


def _with_rows(connection: Connection, names: list[tuple[TableName, str]]) -> Iterator[TableName]:
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        tables = [f"{qualified(name.schema, name.name)} {condition}" for name, condition in some]
        asked = ", ".join(f"EXISTS (SELECT 1 FROM ONLY {table})" for table in tables)  # noqa: S608
        row = connection.execute(f"SELECT {asked}".encode()).fetchone()  # quoted names only
        yield from (name for (name, _), found in zip(some, row or (), strict=True) if found)


def _is_so(connection: Connection, question: str) -> bool:
    row = connection.execute(question.encode()).fetchone()
    return bool(row and row[0])
