"""Copy rows into tables, and pages into large objects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.marks import EMPTY_PAGES
from holdfast.adapters.postgres.quoting import columns, literal, qualified
from holdfast.contracts.manifest import TableContent

_OF_NAMES = ("42", "3F")
_AT_LINE = re.compile(r"^COPY [^\n]*?, line \d+, column ", re.MULTILINE)
_PAGES = "pg_temp.holdfast_pages"
_CREATE_PAGES = f"""
    CREATE TEMPORARY TABLE {_PAGES} (loid pg_catalog.oid, start pg_catalog.int8, data pg_catalog.bytea) ON COMMIT DROP
"""
_PUT_PAGES = f"SELECT pg_catalog.count(pg_catalog.lo_put(loid, start, data)) FROM {_PAGES}"  # noqa: S608
# An object that was cut at the end of a page has an empty one there. Cutting again is the only way to get one, and
# only while nothing lies behind it; elsewhere it reads like the gap that stays, so it is enough to know of it.
_NOTE_EMPTY_PAGES = f"""
    INSERT INTO {EMPTY_PAGES} SELECT loid, start FROM {_PAGES} WHERE pg_catalog.octet_length(data) = 0
"""  # noqa: S608  # constants only
_MAKE_EMPTY_PAGES = f"""
    SELECT pg_catalog.count(pg_catalog.lo_truncate64(fd, start))
    FROM (SELECT start, fd, pg_catalog.lo_lseek64(fd, 0, 2) AS size
          FROM (SELECT start, pg_catalog.lo_open(loid, 393216) AS fd
                FROM {_PAGES} WHERE pg_catalog.octet_length(data) = 0 OFFSET 0) o OFFSET 0) p
    WHERE size <= start
"""  # noqa: S608  # constants only

# An enum's values hash by their numbers, which are others in another database: the rows of a table partitioned
# by such a hash belong to other partitions there, so they go in through the root.
_HASHED_BY_ENUM = """
    SELECT w.number, rn.nspname, r.relname
    FROM ROWS FROM (pg_catalog.unnest(%s::pg_catalog.name[]), pg_catalog.unnest(%s::pg_catalog.name[]))
         WITH ORDINALITY w (schema_name, table_name, number)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.table_name
    JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid)
    JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    WHERE c.relispartition
      AND EXISTS (
        SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) a(oid)
        JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = a.oid AND p.partstrat = 'h'
        JOIN pg_catalog.pg_attribute k ON k.attrelid = p.partrelid
          AND (k.attnum = ANY (p.partattrs) OR p.partexprs IS NOT NULL)
        JOIN pg_catalog.pg_type t ON t.oid = k.atttypid
        WHERE t.typtype = 'e'
           OR EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.oid IN (t.typelem, t.typbasetype) AND e.typtype = 'e'))
"""


@dataclass(frozen=True, slots=True)
class CopyTarget:
    """
    Where rows go: *name* for people, *relation* as SQL, of which only rows that meet *condition* are ours.

    *pages* when they are pages of large objects, which have none of these.
    """

    statement: str
    name: str = ""
    relation: str = ""
    condition: str = ""
    pages: bool = False


def copy_targets(
    connection: Connection, contents: Mapping[int, TableContent], *, encoding: str, large_objects: int | None
) -> dict[int, CopyTarget]:
    """
    Return where the rows of each of *contents* go; the one with index *large_objects* has pages.

    The rows are in *encoding*; the session, and so the names in the statements, are not.
    """
    source = f"FROM STDIN (ENCODING {literal(encoding)})"
    roots = hash_roots(connection, {index: each for index, each in contents.items() if index != large_objects})
    return {
        index: CopyTarget(f"COPY {_PAGES} {source}", pages=True)
        if index == large_objects
        else _table(content, roots.get(index), source)
        for index, content in contents.items()
    }


def hash_roots(connection: Connection, contents: Mapping[int, TableContent]) -> dict[int, tuple[str, str]]:
    """Return schema and name of the tables that *contents* have to be loaded through, where those are others."""
    numbers = list(contents)
    schemas, names = ([getattr(each, part) for each in contents.values()] for part in ("schema_name", "name"))
    rows = connection.execute(_HASHED_BY_ENUM, (schemas, names)).fetchall()
    return {numbers[number - 1]: (str(schema), str(name)) for number, schema, name in rows}


def copy_in(connection: Connection, target: CopyTarget, blocks: Iterable[bytes]) -> int:
    """Write *blocks* of COPY text in the running transaction, and return how many rows they were."""
    if target.pages:
        connection.execute(_CREATE_PAGES.encode())
    with connection.cursor() as cursor:
        with cursor.copy(target.statement.encode()) as copy:
            for block in blocks:
                copy.write(block)
        rows = cursor.rowcount
    if target.pages:
        for statement in (_PUT_PAGES, _NOTE_EMPTY_PAGES, _MAKE_EMPTY_PAGES):
            connection.execute(statement.encode())
        connection.execute(f"DROP TABLE {_PAGES}".encode())
    return rows


def column_of_unknown_name(error: psycopg.Error, columns: Sequence[str]) -> str | None:
    """
    Return which of *columns* has the value that COPY could not read as the name of something, if that is what happened.

    COPY tells the column and then the value, which nobody else is to see, and quotes neither.
    """
    if not (error.sqlstate or "").startswith(_OF_NAMES):
        return None
    told = _AT_LINE.search(error.diag.context or "")
    rest = told.string[told.end() :] if told else ""
    return max((name for name in columns if rest.startswith(f"{name}: ")), key=len, default=None)


def _table(content: TableContent, root: tuple[str, str] | None, source: str) -> CopyTarget:
    schema, name = root or (content.schema_name, content.name)
    # A table without columns has rows too; a list of none is no list.
    listed = f" ({columns(content.columns)})" if content.columns else ""
    return CopyTarget(
        f"COPY {qualified(schema, name)}{listed} {source}",
        name=f"{schema}.{name}",
        # Through a root, rows go to any table below.
        relation=f"{'' if root else 'ONLY '}{qualified(schema, name)}",
        condition=content.condition,
    )
