"""Read ranges of tables as COPY text through one psql, under an imported snapshot."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import NoReturn, Self

from holdfast.adapters.postgres import large_objects, quoting
from holdfast.adapters.postgres.connect import SOURCE_PROGRAMS, ConnectionParameters
from holdfast.adapters.postgres.programs import Program
from holdfast.adapters.postgres.snapshots import BEGIN, LOST_CODES, another_server, server_condition
from holdfast.archive.pieces import Buffers, Piece
from holdfast.contracts.documents import RangePlan
from holdfast.errors import HoldfastError, ProgramFailed, SnapshotNotReady, StillWorking
from holdfast.model.planning import CHUNK_BYTES

# A row never is `\.`: COPY writes a backslash in data as two. So this line ends the rows of a statement. What stands
# for NULL is written as it is, so the server writes the line, in the message that asks for the rows.
END = b"\\.\n"
COPY_END = r"COPY (SELECT NULL) TO STDOUT (NULL E'\\.')"


DIVISION_BY_ZERO = "22012"
"""What our conditions raise: another server answers, or another table has the name of one."""


def pins(encoding: str) -> dict[str, str]:
    """Return the settings that decide how values are written as text; the manifest records them."""
    return {
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "TimeZone": "UTC",
        "extra_float_digits": "3",
        "bytea_output": "hex",
        "lc_monetary": "C",
        "search_path": "",
        "client_encoding": encoding,
    }


# Index scans may use an index that was built after the snapshot and does not know rows that it sees.
_SESSION = {
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "5min",
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_bitmapscan": "off",
    "enable_tidscan": "on",
    "quote_all_identifiers": "off",
    "max_parallel_workers_per_gather": "0",
    "synchronize_seqscans": "off",
    "jit": "off",
}

# Limits that newer servers know and a role may have set; older servers would refuse to set them.
UNLIMITED = """COPY (
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name IN ('transaction_timeout', 'idle_session_timeout')
) TO STDOUT;"""


def range_query(plan: RangePlan, start: str = "") -> str:
    """Return the SELECT whose rows are those of the range, from the row at *start* on where that is given."""
    if plan.table == large_objects.LIST:
        return large_objects.list_query(plan)
    conditions = [*_itself(plan), *_blocks(plan.first_block, plan.end_block, start)]
    if plan.table == large_objects.CONTENT:
        by_pages = plan.name == large_objects.PAGES
        return large_objects.pages_query(_where(conditions)) if by_pages else large_objects.pieces_query(plan)
    if plan.condition:
        # An extension gives its condition as a whole WHERE clause.
        conditions.append(f"({plan.condition.strip().removeprefix('WHERE').removeprefix('where')})")
    return f"SELECT {quoting.columns(plan.columns)} FROM ONLY {_table(plan)}{_where(conditions)}"  # noqa: S608  # quoted


def has_positions(plan: RangePlan) -> bool:
    """
    Answer whether the range's rows come in the order of their places, so that reading can go on at one of them.

    A condition may be anything, a join too; and large objects that are read one by one, or listed, have no place.
    """
    return not plan.condition and (plan.table >= 0 or plan.name == large_objects.PAGES)


def position_query(plan: RangePlan, skipped: int) -> str:
    """
    Return the SELECT of the place (`ctid`) of the range's row after the first *skipped*, if there is one.

    It scans like `range_query` does, so the rows come in the same order under the same snapshot; no value is
    fetched that lies out of line.
    """
    where = _where([*_itself(plan), *_blocks(plan.first_block, plan.end_block)])
    return f"SELECT ctid FROM ONLY {_table(plan)}{where} OFFSET {skipped} LIMIT 1"  # noqa: S608  # quoted


def within(first: int, end: int | None) -> str:
    """Return the WHERE clause for the blocks from *first* up to *end*; empty for all."""
    return _where(_blocks(first, end))


def _table(plan: RangePlan) -> str:
    return quoting.qualified(plan.schema_name, plan.name)


def _blocks(first: int, end: int | None, start: str = "") -> list[str]:
    start = start or (f"({first},0)" if first else "")
    return [f"ctid >= {quoting.literal(start)}"] * bool(start) + [f"ctid < '({end},0)'"] * (end is not None)


def _itself(plan: RangePlan) -> list[str]:
    """
    Return a condition that is an error where the table's name leads to another table.

    Its locks keep a table's name, not its schema's. PostgreSQL looks up the literal's name right after it has locked
    the table, and divides while it plans, so that tables without rows are told apart too.
    """
    literal = quoting.literal(_table(plan))
    return [f"1 / ({literal}::pg_catalog.regclass::pg_catalog.oid = {plan.oid})::int = 1"] * bool(plan.oid)


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


class CopySession:
    """One psql inside one transaction that sees *snapshot*; leaving the `with` block ends it."""

    def __init__(
        self,
        parameters: ConnectionParameters,
        snapshot: str,
        *,
        settings: dict[str, str],
        server: str = "",
        application_name: str = "holdfast dump",
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """Start psql; reading raises `StillWorking` when *seconds_left* says that there are none."""
        self._program = Program(
            "psql",
            # Codes instead of sentences: psql's complaints could quote rows.
            ["-XqAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate", "-v", "SHOW_CONTEXT=never", "-f", "-"],
            parameters.with_settings(SOURCE_PROGRAMS),
            application_name=application_name,
            # What we send, with its names, is UTF-8; the rows come in the encoding that each COPY asks for.
            extra={"PGCLIENTENCODING": "UTF8"},
            stdin=True,
        )
        self._encoding = quoting.literal(settings["client_encoding"])
        settled = [
            f"SET {quoting.identifier(name)} = {quoting.literal(value)};"
            for name, value in {**_SESSION, **settings}.items()
            if name != "client_encoding"
        ]
        # Elsewhere that is a division by zero.
        here = [f"COPY (SELECT 1 / ({server_condition(server)})::int) TO STDOUT;"] if server else []
        opening = [UNLIMITED, *settled, *here, f"{BEGIN};", f"SET TRANSACTION SNAPSHOT {quoting.literal(snapshot)};"]
        self._buffers, self._seconds_left = Buffers(CHUNK_BYTES), seconds_left
        self._asked, self._read_ahead = 0, b""
        self._opening = "\n".join(opening).encode() + b"\n"

    def open(self) -> None:
        """
        Begin the transaction.

        Raises `SnapshotNotReady` when the snapshot is exported no more, `SnapshotLost` when another server answers.
        """
        self._program.doing = "beginning to copy"
        try:
            self._program.write(self._opening + f"{COPY_END};\n".encode())
            self._asked = 1
            for piece in self._until_end():
                piece.release()
        except HoldfastError as error:
            if error.ids.get("sqlstate") in LOST_CODES:
                raise SnapshotNotReady("The snapshot is not exported any more.") from error
            if error.ids.get("sqlstate") == DIVISION_BY_ZERO:
                raise another_server() from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.__exit__(kind, error, trace)

    def close(self) -> None:
        """End the transaction and psql, and raise what it had to complain about."""
        self._program.write(b"COMMIT;\n")
        self._program.finish()

    def rows(self, query: str, *, what: str = "") -> Iterator[Piece]:
        """Yield the rows of one query, as `ask` and `answer` do."""
        self._program.doing = f"reading {what or 'rows'}"
        self.ask([query])
        return self.answer(what=what)

    def ask(self, queries: Iterable[str]) -> None:
        """
        Ask for the rows of *queries* in one message, so that a thousand small tables do not cost as many round trips.

        They are read with one `answer` each, in order, before anything else is asked.
        """
        copies = [f"COPY ({query}) TO STDOUT (ENCODING {self._encoding})\\; {COPY_END}" for query in queries]
        self._asked = len(copies)
        self._program.write((r"\; ".join(copies) + ";\n").encode())

    def answer(self, *, what: str = "") -> Iterator[Piece]:
        """
        Yield the rows of the next query as COPY text, in pieces of whole rows.

        A piece has at most `CHUNK_BYTES`, unless a single row is longer; whoever gets it releases it. Nothing
        yielded may be used before the iterator ends: it raises when psql or the server failed, however much
        came before. *what* names the rows in errors; `ids["rows_read"]` of those says how many complete rows came
        after the last piece. Raises `StillWorking` when there is no time left; every piece before counts then.
        """
        self._program.doing = f"reading {what or 'rows'}"
        return self._until_end()

    def _until_end(self) -> Iterator[Piece]:
        buffer, filled = self._buffers.take(), len(self._read_ahead)
        buffer[:filled] = self._read_ahead
        while True:
            filled, end = self._fill(buffer, filled)
            cut = _cut(buffer, filled if end < 0 else end)
            if cut:
                following = self._buffers.take()
                with memoryview(buffer) as view:
                    following[: filled - cut] = view[cut:filled]
                yield Piece(buffer, cut, self._buffers)
                buffer, filled = following, filled - cut
            elif end >= 0:
                self._asked, self._read_ahead = self._asked - 1, bytes(buffer[end + len(END) : filled])
                last = Piece(buffer, end, self._buffers)
                if last.size:
                    yield last
                else:
                    last.release()
                return
            elif filled == len(buffer):
                buffer += bytes(CHUNK_BYTES)

    def _fill(self, buffer: bytearray, filled: int) -> tuple[int, int]:
        """Read up to the end of the rows or a full buffer; return how far it is filled, and where rows end or -1."""
        end = _end(buffer, 0, filled, several=self._asked > 1)
        while end < 0 and filled < len(buffer):
            left = self._seconds_left()
            if left <= 0 or not self._program.readable(left):
                raise StillWorking(f"There was no time left for {self._program.doing}.")
            with memoryview(buffer) as view:
                count = self._program.read_into(view[filled:])
            if not count:
                self._fail(buffer, filled)
            filled += count
            end = _end(buffer, filled - count, filled, several=self._asked > 1)
        return filled, end

    def _fail(self, buffer: bytearray, filled: int) -> NoReturn:
        try:
            self._program.check()
        except HoldfastError as error:
            error.ids["rows_read"] = buffer.count(b"\n", 0, filled)
            raise
        raise ProgramFailed("psql ended before the rows did.")


def _end(buffer: bytearray, new: int, filled: int, *, several: bool) -> int:
    """
    Return where the line END begins, or -1; what lies before *new* has been searched.

    Buffers begin with a row, so a line begins at 0 or after a newline. Unless *several* answers were asked for, nothing
    comes behind it, and nothing has to be searched.
    """
    if filled >= len(END) and buffer.startswith(END):
        return 0
    if several:
        return buffer.find(b"\n" + END, max(0, new - len(END)), filled) + 1 or -1
    return filled - len(END) if buffer.endswith(b"\n" + END, 0, filled) else -1


def _cut(buffer: bytearray, end: int) -> int:
    """Return where rows up to *end* must be cut, or 0: after the last row within the limit, or the first one."""
    if end <= CHUNK_BYTES and not (end == CHUNK_BYTES == len(buffer)):
        return 0
    within = buffer.rfind(b"\n", 0, CHUNK_BYTES) + 1
    return within or buffer.find(b"\n", CHUNK_BYTES, end) + 1
