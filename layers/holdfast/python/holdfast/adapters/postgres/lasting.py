"""
Keep what a transaction failed of, for when nobody is there any more to hear it.

A statement that takes longer than an invocation ends without its sender. That it is done, the mark tells; without
this, one that failed would look like one whose server was restarted, and be sent again and again.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.adapters.postgres import marks
from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import literal
from holdfast.adapters.postgres.translation import QUOTING, SPEAKING
from holdfast.model.restoring import MARKS_SCHEMA

_AGAIN = (
    "serialization_failure OR deadlock_detected OR lock_not_available OR object_in_use OR out_of_memory "
    "OR system_error OR io_error OR object_not_in_prerequisite_state"
)
"""What may go better the next time is no failure to keep; the transaction is undone, mark and all."""
_FIELDS = "sqlstate, sentence, schema_name, table_name, column_name, datatype_name, constraint_name"
_KEPT = f"SELECT {_FIELDS} FROM {marks.FAILURES} WHERE mark = %s"  # noqa: S608  # constants only
_FORGET = f"DELETE FROM {marks.FAILURES} WHERE mark = %s"  # noqa: S608  # constants only
_BLOCK = f"""
DECLARE
  code text; said text; place text; of_schema text; of_table text; of_column text; of_type text; of_rule text;
BEGIN
  {{insertion}};
  DELETE FROM {marks.FAILURES} WHERE mark = {{mark}};
  EXECUTE {{script}};
EXCEPTION
  WHEN {_AGAIN} THEN RAISE;
  WHEN assert_failure OR OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, said = MESSAGE_TEXT, place = PG_EXCEPTION_CONTEXT,
      of_schema = SCHEMA_NAME, of_table = TABLE_NAME, of_column = COLUMN_NAME, of_type = PG_DATATYPE_NAME,
      of_rule = CONSTRAINT_NAME;
    IF of_schema = {literal(MARKS_SCHEMA)} THEN RAISE; END IF;
    IF pg_catalog.left(code, 2) NOT IN ({", ".join(map(literal, sorted(SPEAKING - QUOTING)))})
       OR NOT pg_catalog.starts_with(place, 'SQL statement "') THEN said := ''; END IF;
    INSERT INTO {marks.FAILURES} VALUES ({{mark}}, code, said, of_schema, of_table, of_column, of_type, of_rule);
END
"""  # noqa: S608  # constants, and literals


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a transaction failed; the *sentence* is the server's own, where that cannot hold values of rows."""

    sqlstate: str
    sentence: str
    schema_name: str
    table_name: str
    column_name: str
    datatype_name: str
    constraint_name: str


def keeping_failure(mark: str, script: bytes) -> bytes:
    """
    Return the statement that inserts *mark* and runs *script*, or keeps why that failed.

    Both happen in one transaction: a mark and a failure never exist beside each other.
    """
    text = script.decode("utf-8", "surrogateescape")
    block = _BLOCK.format(insertion=marks.insertion(mark), mark=literal(mark), script=literal(text))
    return f"DO {literal(block)}".encode("utf-8", "surrogateescape")


def failure_of(connection: Connection, mark: str) -> Failure | None:
    """Return why the last attempt at *mark* failed, if it did."""
    row = connection.execute(_KEPT.encode(), (mark,)).fetchone()
    return None if row is None else Failure(*(str(field or "") for field in row))


def forget_failure(connection: Connection, mark: str) -> None:
    """Forget why the last attempt at *mark* failed: it may be made again."""
    connection.execute(_FORGET.encode(), (mark,))
