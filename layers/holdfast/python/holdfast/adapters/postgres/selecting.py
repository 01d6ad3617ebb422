"""Find what patterns choose: the server matches names, as it does for pg_dump."""

# ruff: noqa: S608  # every text here is put together from constants

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from holdfast.adapters.postgres.connect import Connection
from holdfast.contracts.selection import Selection
from holdfast.errors import BadConfiguration
from holdfast.model.patterns import PUBLIC, Pattern, schema_pattern, table_pattern
from holdfast.model.tables import TableName

_OURS = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'holdfast_restore')"

_RELATIONS = f"""
    SELECT c.oid, c.relnamespace,
           EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
                   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                     AND d.deptype = 'e')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {_OURS}
"""

_SCHEMAS = f"""
    SELECT w.number, n.oid
    FROM ROWS FROM (pg_catalog.unnest(%s::int[]), pg_catalog.unnest(%s::text[])) AS w (number, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.~) w.name COLLATE pg_catalog.default
    WHERE {_OURS}
"""

# Partitions and children go where their parents go.
_TABLES = f"""
    WITH RECURSIVE family (number, oid) AS (
        SELECT w.number, c.oid
        FROM ROWS FROM (pg_catalog.unnest(%s::int[]), pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[]))
            AS w (number, schema, name)
        JOIN pg_catalog.pg_class c ON c.relname OPERATOR(pg_catalog.~) w.name COLLATE pg_catalog.default
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {_OURS}
          AND CASE WHEN w.schema IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
              ELSE n.nspname OPERATOR(pg_catalog.~) w.schema COLLATE pg_catalog.default END
        UNION
        SELECT f.number, i.inhrelid FROM family f JOIN pg_catalog.pg_inherits i ON i.inhparent = f.oid
    )
    SELECT number, oid FROM family
"""

_MATCHING = """
    SELECT w.number, k.position
    FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) WITH ORDINALITY
         AS w (schema, name, number),
         ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) WITH ORDINALITY
         AS k (schema, name, position)
    WHERE k.schema OPERATOR(pg_catalog.~) w.schema COLLATE pg_catalog.default
      AND k.name OPERATOR(pg_catalog.~) w.name COLLATE pg_catalog.default
"""

_NAMES = f"""
    SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_OURS}
"""
_SCHEMA_NAMES = f"SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE {_OURS}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    What a selection takes, by oid: *relations* and of these, those *without_rows*; *relations* is None for all.

    *unmatched* are (key of the configuration, pattern) pairs that match nothing.
    """

    relations: frozenset[int] | None
    without_rows: frozenset[int]
    unmatched: tuple[tuple[str, str], ...]

    def takes(self, oid: int) -> bool:
        """Answer whether the table, view or sequence is backed up."""
        return self.relations is None or oid in self.relations

    def takes_rows(self, oid: int) -> bool:
        """Answer whether the rows of the table are backed up."""
        return self.takes(oid) and oid not in self.without_rows


ALL = Chosen(None, frozenset(), ())


def choose(connection: Connection, selection: Selection) -> Chosen:
    """Return what *selection* takes of the tables that the transaction sees."""
    if selection.everything:
        return ALL
    # A pattern without a schema means what the role sees without one; so pg_dump takes it too.
    connection.execute("RESET search_path")
    found = {key: _matched(connection, key, patterns) for key, patterns in selection.model_dump().items()}
    connection.execute("SET search_path = ''")
    oids = {key: frozenset().union(*matches) for key, matches in found.items()}
    unmatched = tuple(
        (key, pattern)
        for key, patterns in selection.model_dump().items()
        for pattern, matches in zip(patterns, found[key], strict=True)
        if not matches
    )
    relations = frozenset(
        oid
        for oid, schema, of_extension in connection.execute(_RELATIONS.encode()).fetchall()
        # Extensions have no schema of their own, so they are out where only what is named is in.
        if _taken(oid, schema, selection, oids) and not (of_extension and selection.by_name)
    )
    return Chosen(relations, oids["exclude_rows"], unmatched)


def refuse_unmatched(connection: Connection, selection: Selection, database: str) -> None:
    """Raise `BadConfiguration` naming each pattern that matches nothing: a typing error must not leave a table out."""
    unmatched = choose(connection, selection).unmatched
    if not unmatched:
        return
    known = [name for query in (_NAMES, _SCHEMA_NAMES) for (name,) in connection.execute(query.encode()).fetchall()]
    named = ", ".join(f"{key}: {pattern!r}" for key, pattern in unmatched)
    close = sorted({near for _, pattern in unmatched for near in close_names(pattern, known)})
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    raise BadConfiguration(
        f"databases.{database} names what the database does not have: {named}.",
        hint=f"{meant}Correct the pattern in holdfast.toml, or remove it; a name without its schema is looked for in "
        "the schemas of the role's search_path.",
    )


def match_names(
    connection: Connection, names: Sequence[TableName], patterns: Sequence[Pattern]
) -> tuple[frozenset[TableName], tuple[str, ...]]:
    """
    Return those of *names* that any of *patterns* matches, and the patterns that match none of them.

    No search path goes with names, so that a pattern without a schema means `public`.
    """
    if not patterns:
        return frozenset(), ()
    expressions = [each.schema or PUBLIC for each in patterns], [each.name for each in patterns]
    parts = [name.schema for name in names], [name.name for name in names]
    rows = connection.execute(_MATCHING.encode(), (*expressions, *parts)).fetchall()
    matched = {number for number, _ in rows}
    unmatched = tuple(each.text for number, each in enumerate(patterns, start=1) if number not in matched)
    return frozenset(names[position - 1] for _, position in rows), unmatched


def close_names(pattern: str, known: Iterable[str]) -> list[str]:
    """Return the names most like *pattern*, with or without their schemas."""
    names = list(known)
    bare = {name.rpartition(".")[2]: name for name in names}
    return get_close_matches(pattern, names, n=2) or [bare[name] for name in get_close_matches(pattern, bare, n=2)]


def _taken(oid: int, schema: int, selection: Selection, oids: dict[str, frozenset[int]]) -> bool:
    if oid in oids["exclude_tables"]:
        return False
    if selection.include_tables:
        return oid in oids["include_tables"]
    inside = not selection.include_schemas or schema in oids["include_schemas"]
    return inside and schema not in oids["exclude_schemas"]


def _matched(connection: Connection, key: str, texts: Sequence[str]) -> list[frozenset[int]]:
    """Return the oids that each of *texts* matches."""
    if not texts:
        return []
    of_schemas = key.endswith("schemas")
    patterns: list[Pattern] = [schema_pattern(text) if of_schemas else table_pattern(text) for text in texts]
    numbers, names = list(range(len(patterns))), [pattern.name for pattern in patterns]
    if of_schemas:
        rows = connection.execute(_SCHEMAS.encode(), (numbers, names)).fetchall()
    else:
        rows = connection.execute(_TABLES.encode(), (numbers, [each.schema for each in patterns], names)).fetchall()
    found: list[set[int]] = [set() for _ in patterns]
    for number, oid in rows:
        found[number].add(oid)
    return [frozenset(each) for each in found]
