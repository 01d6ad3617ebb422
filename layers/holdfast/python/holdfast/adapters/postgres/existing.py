"""See whether the tables of a database can take rows: they are there, empty, and have the columns of the point."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.loading import CopyTarget, hash_roots
from holdfast.adapters.postgres.marks import take
from holdfast.adapters.postgres.quoting import qualified
from holdfast.adapters.postgres.reading import sequence_values
from holdfast.contracts.manifest import Manifest, MaterialisedView, TableContent
from holdfast.errors import TargetNotEmpty
from holdfast.model.tables import TableName

_COLUMNS = """
    SELECT n.nspname, c.relname, coalesce(pg_catalog.array_agg(a.attname::text ORDER BY a.attnum), '{}'),
           coalesce(pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum), '{}'),
           coalesce(pg_catalog.array_agg(a.attname::text) FILTER (
               WHERE a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''), '{}'),
           pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
               AND pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_attribute a
      ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.relkind = 'r' GROUP BY c.oid, 1, 2
"""
_OTHERS_SEQUENCES = """
    SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
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
# Triggers that see rows that come (4 is INSERT) though others are kept still.
_STUBBORN = """
    SELECT n.nspname, c.relname, g.tgname FROM pg_catalog.pg_trigger g
    JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE g.tgenabled IN ('A', 'R') AND g.tgtype & 4::int2 <> 0 ORDER BY 1, 2, 3
"""
# Each partition has its own keys; the other side may be a table that only has partitions, which a key also names.
_KEYS_OUT = """
    SELECT n.nspname, c.relname, k.conname, rn.nspname, r.relname, ARRAY(
        SELECT pn.nspname || '.' || p.relname FROM pg_catalog.pg_partition_tree(r.oid) t
        JOIN pg_catalog.pg_class p ON p.oid = t.relid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace)
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class r ON r.oid = k.confrelid JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE k.contype = 'f'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid)
    ORDER BY 1, 2, 3
"""
# Since PostgreSQL 15 a setting can be granted.
_MAY_BE_QUIET = """
    SELECT r.rolsuper OR CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 150000
        THEN pg_catalog.has_parameter_privilege('session_replication_role', 'SET') ELSE false END
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""
_FALLING = "SELECT schemaname, sequencename FROM pg_catalog.pg_sequences WHERE increment_by < 0"
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table of the database; those that are *demanded* have to be given."""

    types: Mapping[str, str]
    demanded: frozenset[str]
    ours: bool


def obstacles(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """
    Yield a sentence for each table, sequence and large object that stands in the way of the manifest's rows.

    The session's search path must be empty, for the names of types.
    """
    known, ready = _columns(connection), list[tuple[TableName, str]]()
    for table in manifest.tables:
        name = TableName.of(table)
        found = known.get(name)
        if found is None:
            yield f"The table {name} is missing."
        elif differences := list(_differences(table, found)):
            yield f"The table {name} {', '.join(differences)}."
        elif not found.ours:
            yield f"{connection.info.user} may not read, fill and lock the table {name}."
        else:
            ready.append((name, table.condition))
    yield from (f"The table {name} has rows already." for name in _with_rows(connection, ready))
    yield from _stubborn_triggers(connection, manifest)
    sequences = {TableName(schema, name) for schema, name in connection.execute(_NAMES, ("S",)).fetchall()}
    for one in manifest.sequences:
        if (name := TableName.of(one)) not in sequences:
            yield f"The sequence {name} is missing."
    yield from _sequences_in_the_way(connection, manifest)
    if manifest.large_objects and _is_so(connection, _OBJECTS):
        yield "There are large objects already."


def other_columns(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each table whose columns are not just the point's, though it takes the rows."""
    known = _columns(connection)
    for table in manifest.tables:
        found, name = known.get(TableName.of(table)), TableName.of(table)
        columns = list(found.types) if found else list(table.columns)
        if more := [column for column in columns if column not in table.columns]:
            yield f"The table {name} has columns that the point has not, and which get their defaults: {_list(more)}."
        elif columns != list(table.columns):
            yield f"The table {name} has its columns in another order: {_list(columns)}."


def _columns(connection: Connection) -> dict[TableName, _Columns]:
    return {
        TableName(schema, name): _Columns(dict(zip(names, types, strict=True)), frozenset(demanded), ours)
        for schema, name, names, types, demanded, ours in connection.execute(_COLUMNS).fetchall()
    }


def _differences(table: TableContent, found: _Columns) -> Iterator[str]:
    """Yield what keeps the columns that were *found* from taking the rows of *table* as they are."""
    missing = [column for column in table.columns if column not in found.types]
    if missing:
        yield f"has no column {_list(missing)}"
    # Points of former times do not know their types.
    wanted = dict(zip(table.columns, table.types, strict=False))
    for column in table.columns:
        if column in found.types and found.types[column] != wanted.get(column, found.types[column]):
            yield f"has {column} as {found.types[column]} where the point has {wanted[column]}"
    if more := sorted(found.demanded - set(table.columns)):
        yield f"demands values for {_list(more)}, which the point has not"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def claim_empty(connection: Connection, target: CopyTarget) -> None:
    """
    Raise `TargetNotEmpty` if the table has rows of others, in the transaction that brings the first of ours.

    Until that ends nobody else can write to it, and whoever is writing already is waited for: a row that others insert
    is seen, or comes after ours. Rows that come between a table's first and last chunk, the proof finds.
    """
    if target.pages or not take(connection, f"empty/{hashlib.sha256(target.relation.encode()).hexdigest()[:16]}"):
        return
    connection.execute(f"LOCK TABLE {target.relation} IN SHARE ROW EXCLUSIVE MODE".encode())
    if _is_so(connection, f"SELECT EXISTS (SELECT 1 FROM {target.relation} {target.condition})"):  # noqa: S608
        raise TargetNotEmpty(
            f"The table {target.name} has got rows since the restore was assessed; none were loaded into it.",
            hint="Keep applications away from the tables, empty them, and restore again. What other tables were given "
            "by this restore stays there; its marks lie in the schema holdfast_restore.",
        )


def needs_quiet(connection: Connection, manifest: Manifest) -> bool:
    """Answer whether triggers, those of foreign keys included, would see the rows."""
    names = [f"{table.schema_name}.{table.name}" for table in manifest.tables]
    row = connection.execute(_TRIGGERS, (names,)).fetchone()
    return bool(row and row[0])


def unchecked_keys(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """
    Yield a sentence for each foreign key of the tables to tables that get no rows, while triggers are kept still.

    What is restored together was consistent in the source; that other tables have what these rows name, nobody knows.
    """
    filled = {str(TableName.of(table)) for table in manifest.tables}
    for schema, table, key, other_schema, other, parts in connection.execute(_KEYS_OUT).fetchall():
        name, named = TableName(schema, table), TableName(other_schema, other)
        if str(name) in filled and filled.isdisjoint({str(named), *parts}):
            yield (
                f"The foreign key {key} of {name} names rows of {named}, which is not restored: nobody checks that "
                "they are there. Drop the key and add it again to have that checked."
            )


def may_be_quiet(connection: Connection) -> bool:
    """Answer whether our role may keep triggers still."""
    return _is_so(connection, _MAY_BE_QUIET)


def views_there(connection: Connection, manifest: Manifest) -> tuple[MaterialisedView, ...]:
    """Return those of the manifest's materialised views that the database has."""
    there = {(schema, name) for schema, name in connection.execute(_NAMES, ("m",)).fetchall()}
    return tuple(view for view in manifest.materialised_views if (view.schema_name, view.name) in there)


def _sequences_in_the_way(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each sequence that setting would take back, which would give numbers out a second time."""
    archived = {(one.schema_name, one.name): one for one in manifest.sequences}
    falling, others = (
        {(s, n) for s, n in connection.execute(query).fetchall()} for query in (_FALLING, _OTHERS_SEQUENCES)
    )
    for (schema, name), found in sequence_values(connection, list(archived)).items():
        one, sign = archived[schema, name], -1 if (schema, name) in falling else 1
        if (sign * found.value, found.called) > (sign * one.value, one.called):
            yield f"The sequence {TableName(schema, name)} is at {found.value}, ahead of the point's {one.value}."
        elif (found.value, found.called) != (one.value, one.called) and (schema, name) in others:
            owned = TableName(schema, name)
            yield f"{connection.info.user} may not act for the owner of the sequence {owned}, which has to be set."


def _stubborn_triggers(connection: Connection, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each trigger that would see the rows; rows that go in through a root meet its own, too."""
    roots = hash_roots(connection, dict(enumerate(manifest.tables))).values()
    filled = {TableName.of(table) for table in manifest.tables} | {TableName(*root) for root in roots}
    for schema, table, trigger in connection.execute(_STUBBORN).fetchall():
        if (name := TableName(schema, table)) in filled:
            yield f"The table {name} has the trigger {trigger}, which cannot be kept still: disable it meanwhile."


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
