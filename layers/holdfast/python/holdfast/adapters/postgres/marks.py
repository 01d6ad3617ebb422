"""
Marks in the target: which transactions of a restore are done.

Each transaction inserts its mark first. A second attempt, while the first one's statement still runs on the
server without its sender, waits at the mark's unique key for how that ends, and then either finds the mark or
does the work. So everything happens exactly once, whoever dies when.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import literal
from holdfast.errors import TargetNotEmpty
from holdfast.model.restoring import MARKS_SCHEMA

_RUN = f"{MARKS_SCHEMA}.run"
MARKS = f"{MARKS_SCHEMA}.marks"
_BLOCKS = f"{MARKS_SCHEMA}.blocks"
FAILURES = f"{MARKS_SCHEMA}.failures"
"""Why a lasting transaction failed, which nobody may have been there to hear."""
_ATTEMPTS = f"{MARKS_SCHEMA}.attempts"
LISTED_OBJECTS = f"{MARKS_SCHEMA}.large_objects"
EMPTY_PAGES = f"{MARKS_SCHEMA}.empty_pages"
TABLES = tuple(
    name.partition(".")[2] for name in (_RUN, MARKS, _BLOCKS, FAILURES, _ATTEMPTS, LISTED_OBJECTS, EMPTY_PAGES)
)
"""What is ours in the marks' schema."""
_CREATE = f"""
CREATE SCHEMA {MARKS_SCHEMA};
COMMENT ON SCHEMA {MARKS_SCHEMA} IS 'Holdfast restores into this database; the schema goes when that is proven.';
CREATE TABLE {_RUN} (restore_id pg_catalog.text PRIMARY KEY);
CREATE TABLE {MARKS} (mark pg_catalog.text COLLATE "C" PRIMARY KEY,
                       made_at pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp());
CREATE TABLE {_BLOCKS} (number pg_catalog.int4 PRIMARY KEY, blocks pg_catalog.int8 NOT NULL);
CREATE TABLE {FAILURES} (mark pg_catalog.text COLLATE "C" PRIMARY KEY, sqlstate pg_catalog.text NOT NULL,
                         sentence pg_catalog.text, schema_name pg_catalog.text, table_name pg_catalog.text,
                         column_name pg_catalog.text, datatype_name pg_catalog.text, constraint_name pg_catalog.text);
CREATE TABLE {_ATTEMPTS} (mark pg_catalog.text COLLATE "C" PRIMARY KEY, attempts pg_catalog.int4 NOT NULL);
CREATE TABLE {LISTED_OBJECTS} (oid pg_catalog.oid PRIMARY KEY, owner pg_catalog.text NOT NULL, acl pg_catalog.text,
                               comment pg_catalog.text);
CREATE TABLE {EMPTY_PAGES} (loid pg_catalog.oid, start pg_catalog.int8, PRIMARY KEY (loid, start));
INSERT INTO {_RUN} VALUES (%s)
"""  # noqa: S608  # constants only
_MEASURE = f"""
INSERT INTO {_BLOCKS}
SELECT %s, pg_catalog.pg_relation_size(%s::pg_catalog.regclass)
           / pg_catalog.current_setting('block_size')::pg_catalog.int8
ON CONFLICT DO NOTHING
"""  # constants only
_MEASURED = f"SELECT blocks FROM {_BLOCKS} WHERE number = %s"  # noqa: S608  # constants only
_ATTEMPT = f"""
INSERT INTO {_ATTEMPTS} AS a VALUES (%s, 1) ON CONFLICT (mark) DO UPDATE SET attempts = a.attempts + 1
RETURNING attempts
"""  # noqa: S608  # constants only
_FORGET_ATTEMPT = f"UPDATE {_ATTEMPTS} SET attempts = attempts - 1 WHERE mark = %s"  # noqa: S608  # constants only
_OWNER = f"SELECT restore_id FROM {_RUN}"  # noqa: S608  # constants only
_DONE = f"SELECT mark FROM {MARKS} WHERE mark = ANY (%s)"  # noqa: S608  # constants only


def create_marks(connection: Connection, restore_id: str) -> None:
    """Create the marks' schema for *restore_id* in one transaction; raises psycopg's error when it exists."""
    with connection.transaction():
        for statement in _CREATE.split(";\n"):
            connection.execute(statement.encode(), (restore_id,) if "%s" in statement else None)


def restore_of(connection: Connection) -> str | None:
    """Return the id of the restore whose marks lie in the database."""
    try:
        row = connection.execute(_OWNER.encode()).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    return str(row[0]) if row else None


def check_owner(connection: Connection, restore_id: str) -> None:
    """Raise `TargetNotEmpty` unless the database was prepared by *restore_id*: nobody else's is written to."""
    if (found := restore_of(connection)) != restore_id:
        whose = f"It was prepared by the restore {found}." if found else "It was not prepared by a restore."
        raise TargetNotEmpty(f"The database {connection.info.dbname} is not this restore's. {whose}")


def done_marks(connection: Connection, marks: Iterable[str]) -> frozenset[str]:
    """Return those of *marks* that are done."""
    rows = connection.execute(_DONE.encode(), (list(marks),)).fetchall()
    return frozenset(str(row[0]) for row in rows)


def insertion(mark: str) -> str:
    """Return the statement that inserts *mark*, for a transaction that is sent as one text."""
    return f"INSERT INTO {MARKS} (mark) VALUES ({literal(mark)})"  # noqa: S608  # quoted


def take(connection: Connection, mark: str) -> bool:
    """Insert *mark* in the running transaction; answers False when it is there already."""
    statement = f"{insertion(mark)} ON CONFLICT DO NOTHING"
    return connection.execute(statement.encode()).rowcount == 1


def is_taken(error: psycopg.Error) -> bool:
    """Answer whether *error* says that the mark was there already."""
    return isinstance(error, psycopg.errors.UniqueViolation) and error.diag.schema_name == MARKS_SCHEMA


def count_attempt(connection: Connection, mark: str) -> int:
    """Count an attempt at *mark*, whatever becomes of it, and return how many there have been."""
    row = connection.execute(_ATTEMPT.encode(), (mark,)).fetchone()
    assert row is not None  # noqa: S101  # it has just been counted
    return int(row[0])


def forget_attempt(connection: Connection, mark: str) -> None:
    """Take back what `count_attempt` counted last."""
    connection.execute(_FORGET_ATTEMPT.encode(), (mark,))


def blocks_once(connection: Connection, number: int, table: str) -> int:
    """
    Return the size in blocks that the quoted *table*, which is *number* in the restore, had when first asked.

    Shares of a table are cut by it. They only miss nothing and repeat nothing when all are cut by one size, and
    vacuuming may make a table smaller at any time.
    """
    connection.execute(_MEASURE.encode(), (number, table))
    row = connection.execute(_MEASURED.encode(), (number,)).fetchone()
    assert row is not None  # noqa: S101  # it has just been measured
    return int(row[0])


def drop_marks(connection: Connection) -> None:
    """Drop the marks' schema; it may be gone already. Only what `create_marks` made goes."""
    tables = ", ".join((MARKS, _RUN, _BLOCKS, FAILURES, _ATTEMPTS, LISTED_OBJECTS, EMPTY_PAGES))
    for statement in (f"DROP TABLE IF EXISTS {tables}", f"DROP SCHEMA IF EXISTS {MARKS_SCHEMA}"):
        connection.execute(statement.encode())
