"""Read ranges of tables as COPY text through one psql, under an imported snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from holdfast.adapters.postgres import large_objects, quoting
from holdfast.adapters.postgres.connect import SOURCE_PROGRAMS, ConnectionParameters
from holdfast.adapters.postgres.programs import Program
from holdfast.adapters.postgres.snapshots import BEGIN, LOST_CODES
from holdfast.archive.pieces import Buffers, Piece
from holdfast.contracts.documents import RangePlan
from holdfast.errors import HoldfastError, ProgramFailed, SnapshotNotReady
from holdfast.model.planning import CHUNK_BYTES

# A row never is `\.`: COPY writes a backslash in data as two. So this line ends the rows of a statement.
END = b"\\.\n"
# psql keeps what it echoes in its buffer until a COPY ends, so an empty one follows.
_ECHO_END = b"\\qecho '\\\\.'\nCOPY (SELECT WHERE false) TO STDOUT;\n"


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
_UNLIMITED = """COPY (
    SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
    WHERE name IN ('transaction_timeout', 'idle_session_timeout')
) TO STDOUT;"""


def range_query(plan: RangePlan) -> str:
    """Return the SELECT whose rows are those of the range."""
    if plan.table == large_objects.LIST:
        return large_objects.list_query(plan)
    if plan.table == large_objects.CONTENT:
        by_pages = plan.name == large_objects.PAGES
        return (
            large_objects.pages_query(within(plan.first_block, plan.end_block))
            if by_pages
            else large_objects.pieces_query(plan)
        )
    conditions = _blocks(plan.first_block, plan.end_block)
    if plan.condition:
        # An extension gives its condition as a whole WHERE clause.
        conditions.append(f"({plan.condition.strip().removeprefix('WHERE').removeprefix('where')})")
    table = quoting.qualified(plan.schema_name, plan.name)
    return f"SELECT {quoting.columns(plan.columns)} FROM ONLY {table}{_where(conditions)}"  # noqa: S608  # quoted


def within(first: int, end: int | None) -> str:
    """Return the WHERE clause for the blocks from *first* up to *end*; empty for all."""
    return _where(_blocks(first, end))


def _blocks(first: int, end: int | None) -> list[str]:
    return [f"ctid >= '({first},0)'"] * bool(first) + [f"ctid < '({end},0)'"] * (end is not None)


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
        application_name: str = "holdfast dump",
    ) -> None:
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
        opening = [_UNLIMITED, *settled, f"{BEGIN};", f"SET TRANSACTION SNAPSHOT {quoting.literal(snapshot)};"]
        self._buffers = Buffers(CHUNK_BYTES)
        self._opening = "\n".join(opening).encode() + b"\n"

    def open(self) -> None:
        """Begin the transaction. Raises `SnapshotNotReady` when the snapshot is not exported any more."""
        self._program.doing = "beginning to copy"
        try:
            self._program.write(self._opening + _ECHO_END)
            for answer in self._until_end():
                answer.release()
        except HoldfastError as error:
            if error.ids.get("sqlstate") in LOST_CODES:
                raise SnapshotNotReady("The snapshot is not exported any more.") from error
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
        """
        Yield the rows of *query* as COPY text, in pieces of whole rows.

        A piece has at most `CHUNK_BYTES`, unless a single row is longer; whoever gets it releases it. Nothing
        yielded may be used before the iterator ends: it raises when psql or the server failed, however much
        came before. *what* names the rows in errors.
        """
        self._program.doing = f"reading {what or 'rows'}"
        self._program.write(f"COPY ({query}) TO STDOUT (ENCODING {self._encoding});\n".encode() + _ECHO_END)
        return self._until_end()

    def _until_end(self) -> Iterator[Piece]:
        buffer, filled = self._buffers.take(), 0
        while True:
            filled = self._fill(buffer, filled)
            ended = _ended(buffer, filled)
            cut = _cut(buffer, filled - len(END) if ended else filled)
            if cut:
                following = self._buffers.take()
                with memoryview(buffer) as view:
                    following[: filled - cut] = view[cut:filled]
                yield Piece(buffer, cut, self._buffers)
                buffer, filled = following, filled - cut
            elif ended:
                last = Piece(buffer, filled - len(END), self._buffers)
                if last.size:
                    yield last
                else:
                    last.release()
                return
            elif filled == len(buffer):
                buffer += bytes(CHUNK_BYTES)

    def _fill(self, buffer: bytearray, filled: int) -> int:
        """Read into the rest of *buffer*, up to the end of the rows or a full buffer; return how far it is filled."""
        while filled < len(buffer) and not _ended(buffer, filled):
            with memoryview(buffer) as view:
                count = self._program.read_into(view[filled:])
            if not count:
                self._program.check()
                raise ProgramFailed("psql ended before the rows did.")
            filled += count
        return filled


def _ended(buffer: bytearray, filled: int) -> bool:
    """Answer whether the last line is END. Buffers begin with a row, so a line begins at 0 or after a newline."""
    start = filled - len(END)
    return start >= 0 and buffer[start:filled] == END and (start == 0 or buffer[start - 1] == 0x0A)


def _cut(buffer: bytearray, end: int) -> int:
    """Return where rows up to *end* must be cut, or 0: after the last row within the limit, or the first one."""
    if end <= CHUNK_BYTES and not (end == CHUNK_BYTES == len(buffer)):
        return 0
    within = buffer.rfind(b"\n", 0, CHUNK_BYTES) + 1
    return within or buffer.find(b"\n", CHUNK_BYTES, end) + 1
