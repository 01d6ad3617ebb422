"""Large objects in a source: which there are, and the queries for their list and for what they hold."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.adapters.postgres import quoting
from holdfast.adapters.postgres.connect import Connection
from holdfast.contracts.documents import RangePlan
from holdfast.model.planning import Sized

CONTENT, LIST = -1, -2
"""What stands for them where a plan numbers tables."""

CONTENT_COLUMNS = ("loid", "offset", "data")
LIST_COLUMNS = ("oid", "owner", "acl", "comment")
CATALOGUE = "pg_catalog"
LISTED_IN = "pg_largeobject_metadata"
PAGES = "pg_largeobject"
PIECES = "lo_get"
"""Without the privilege for the table of pages, objects are read by functions that heed each object's own grants."""

PIECE = 1 << 20
LISTED_AT_ONCE = 16_384
"""Objects of one range of the list: what one transaction of a restore creates."""

_SUMMARY = """
    SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_largeobject_metadata),
           ARRAY(SELECT pg_catalog.pg_get_userbyid(m.lomowner)::text
                 FROM (SELECT DISTINCT lomowner FROM pg_catalog.pg_largeobject_metadata) m),
           pg_catalog.pg_relation_size('pg_catalog.pg_largeobject')
             / pg_catalog.current_setting('block_size')::bigint,
           pg_catalog.pg_table_size('pg_catalog.pg_largeobject'),
           pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')
"""
_FIRSTS = """
    SELECT m.oid::bigint
    FROM (SELECT oid, row_number() OVER (ORDER BY oid) - 1 AS n FROM pg_catalog.pg_largeobject_metadata) m
    WHERE m.n %% %s = 0 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class LargeObjectFacts:
    """How many there are, whose, how much their pages take, and whether the role may read those as a table."""

    count: int
    owners: tuple[str, ...]
    size: Sized
    by_pages: bool


def large_object_facts(connection: Connection) -> LargeObjectFacts:
    """Return what planning needs to know; however many objects there are, the answer is one row."""
    row = connection.execute(_SUMMARY).fetchone()
    assert row is not None  # noqa: S101  # a SELECT without FROM
    count, owners, blocks, size, readable = row
    return LargeObjectFacts(count, tuple(sorted(owners)), Sized(blocks, size), readable)


def first_ids(connection: Connection, step: int) -> list[int]:
    """Return every *step*-th id in their order, beginning with the lowest."""
    return [oid for (oid,) in connection.execute(_FIRSTS, (step,)).fetchall()]


def can_read_pages(connection: Connection) -> bool:
    """Answer whether the role reads large objects as a table, which only superusers may by default."""
    row = connection.execute("SELECT pg_catalog.has_table_privilege('pg_catalog.pg_largeobject', 'SELECT')").fetchone()
    return bool(row and row[0])


def list_query(plan: RangePlan) -> str:
    """Return the SELECT of owner, access list and comment of each object of the range of ids, in the ids' order."""
    return f"""
        SELECT m.oid, pg_catalog.pg_get_userbyid(m.lomowner), m.lomacl::text, d.description
        FROM pg_catalog.pg_largeobject_metadata m
        LEFT JOIN pg_catalog.pg_description d ON d.objoid = m.oid AND d.objsubid = 0
             AND d.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
        {_ids(plan)} ORDER BY m.oid"""  # noqa: S608  # constants and numbers only


def pages_query(condition: str) -> str:
    """Return the SELECT of the pages of which *condition*, a whole WHERE clause or nothing, is true."""
    # A page holds a quarter of a block, 2048 bytes unless the server was built otherwise.
    page = "(pg_catalog.current_setting('block_size')::bigint / 4)"
    pages = f"SELECT loid, pageno::bigint * {page}, data FROM pg_catalog.pg_largeobject{condition}"  # noqa: S608
    return f"SELECT * FROM ({pages}) AS page ({quoting.columns(CONTENT_COLUMNS)})"  # noqa: S608  # constants


def pieces_query(plan: RangePlan) -> str:
    """Return the SELECT of the range's objects in pieces of a mebibyte, through functions."""
    return f"""
        SELECT * FROM (
            SELECT o.oid, g.start, pg_catalog.lo_get(o.oid, g.start, {PIECE})
            FROM (SELECT m.oid, pg_catalog.lo_lseek64(pg_catalog.lo_open(m.oid, 262144), 0, 2) AS size
                  FROM pg_catalog.pg_largeobject_metadata m {_ids(plan)}) o,
                 pg_catalog.generate_series(0::bigint, o.size - 1, {PIECE}::bigint) AS g (start)
        ) AS piece ({quoting.columns(CONTENT_COLUMNS)})"""  # noqa: S608  # constants and numbers only


def _ids(plan: RangePlan) -> str:
    first = [f"m.oid >= {plan.first_block}"] if plan.first_block else []
    end = [f"m.oid < {plan.end_block}"] if plan.end_block is not None else []
    return f"WHERE {' AND '.join(first + end)}" if first + end else ""
