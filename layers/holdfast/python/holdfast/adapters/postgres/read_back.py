"""Read many tables of a restored database back as COPY text, through one psql."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.copying import COPY_END, END, UNLIMITED
from holdfast.adapters.postgres.programs import BLOCK, Program
from holdfast.adapters.postgres.quoting import identifier, literal
from holdfast.errors import ProgramFailed, StillWorking

_SESSION = {
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "max_parallel_workers_per_gather": "0",
    # Whoever goes on where time was up counts rows: they have to come in the order of their places.
    "synchronize_seqscans": "off",
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_bitmapscan": "off",
    "enable_tidscan": "on",
}


class ReadBack:
    """
    One psql that answers queries one after the other; leaving the `with` block ends it.

    A program for each table would cost 20 ms and more for each, and a question for each at least a round trip: so
    those for small tables are asked together.
    """

    def __init__(
        self,
        parameters: ConnectionParameters,
        settings: Mapping[str, str],
        *,
        seconds_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        """
        Start psql, which writes values under *settings*.

        Rows come in the encoding of *settings*; names in queries are UTF-8. Reading raises `StillWorking` when
        *seconds_left* says that there are none.
        """
        self._program = Program(
            "psql",
            # Codes instead of sentences: psql's complaints could quote rows.
            ["-XqAt", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate", "-v", "SHOW_CONTEXT=never", "-f", "-"],
            parameters,
            application_name="holdfast restore prove",
            extra={"PGCLIENTENCODING": "UTF8"},
            stdin=True,
            doing="reading rows back",
        )
        session = {name: value for name, value in {**_SESSION, **settings}.items() if name != "client_encoding"}
        settled = [f"SET {identifier(name)} = {literal(value)};" for name, value in session.items()]
        self._opening = "\n".join([UNLIMITED, *settled, f"{COPY_END};\n"]).encode()
        self._encoding, self._seconds_left = literal(settings["client_encoding"]), seconds_left
        self._buffer = memoryview(bytearray(BLOCK))
        self._opened, self._asked, self._read_ahead = False, 0, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.__exit__(kind, error, trace)

    def rows(self, query: str) -> Iterator[bytes]:
        """Yield the rows of one query, as `answer` does."""
        return self.answer(after_asking=[query])

    def answer(self, *, after_asking: Sequence[str] = ()) -> Iterator[bytes]:
        """
        Yield the rows of the next query that was asked for as COPY text, in blocks cut anywhere.

        *after_asking* are queries to ask for before, in one message. They are read with one `answer` each, in order,
        before anything else is asked. Nothing yielded may be used before the iterator ends: it raises when psql or
        the server failed. Raises `StillWorking` when there is no time left; every complete row before counts then.
        """
        if after_asking:
            self._open()
            self._ask(after_asking)
        yield from self._until_end()

    def _open(self) -> None:
        """Settle the session, the first time; what the server answers to that is of no interest."""
        if not self._opened:
            self._opened, self._asked = True, 1
            self._program.write(self._opening)
            for _ in self._until_end():
                pass

    def _ask(self, queries: Sequence[str]) -> None:
        copies = [f"COPY ({query}) TO STDOUT (ENCODING {self._encoding})\\; {COPY_END}" for query in queries]
        self._asked = len(copies)
        self._program.write((r"\; ".join(copies) + ";\n").encode())

    def _until_end(self) -> Iterator[bytes]:
        """Yield what comes before the line END, of which as much is held back as may be its beginning."""
        # A newline that is not there makes the first line like all others.
        held, skipped = b"\n" + self._read_ahead, 1
        while (end := self._end(held)) < 0:
            kept = len(held) - len(END)
            if kept > skipped:
                yield held[skipped:kept]
                held, skipped = held[kept:], 0
            held += self._read()
        self._asked, self._read_ahead = self._asked - 1, held[end + len(END) :]
        if end > skipped:
            yield held[skipped:end]

    def _end(self, held: bytes) -> int:
        """Return where the line END begins, or -1. Behind the last answer comes nothing: only the end is looked at."""
        if self._asked > 1:
            return held.find(b"\n" + END) + 1 or -1
        return len(held) - len(END) if held.endswith(b"\n" + END) else -1

    def _read(self) -> bytes:
        left = self._seconds_left()
        if left <= 0 or not self._program.readable(left):
            raise StillWorking("There was no time left for reading rows back.")
        count = self._program.read_into(self._buffer)
        if not count:
            self._program.check()
            raise ProgramFailed("psql ended before the rows did.")
        return bytes(self._buffer[:count])
