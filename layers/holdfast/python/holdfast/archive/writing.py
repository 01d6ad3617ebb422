"""Store rows as chunks: hashed, compressed and uploaded side by side, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from threading import BoundedSemaphore
from types import TracebackType
from typing import Self

import zstandard

from holdfast.archive.pieces import Piece
from holdfast.contracts.documents import CopiedChunk, RangePlan, RangeResult
from holdfast.errors import UnexpectedState
from holdfast.model.keys import ArchiveKeys
from holdfast.model.planning import CHUNK_BYTES
from holdfast.ports.storage import Archive

LEVEL = 1
# Two pieces in work beside the one that is being read: three buffers of 32 MiB, and two compressed pieces.
WORKERS = 2
# The pieces of small tables cost two requests each and hardly a byte.
SMALL_BYTES = 1 << 20
SMALL_WORKERS = 8


@dataclass(frozen=True, slots=True)
class _Written:
    chunk: CopiedChunk
    new_bytes: int


@dataclass(slots=True)
class _Range:
    """A range that is being written: what was known of it before, and what is under way."""

    plan: RangePlan
    chunks: list[CopiedChunk]
    new_bytes: int
    begun: list[Future[_Written]] = field(default_factory=list)

    def result(self, *, until_failure: bool = False) -> RangeResult:
        """Return what became of it, once everything begun is stored; raises the first failure, or ends there."""
        done = [one.result() for one in takewhile(lambda one: not until_failure or _succeeded(one), self.begun)]
        return RangeResult(
            table=self.plan.table,
            first_block=self.plan.first_block,
            end_block=self.plan.end_block,
            chunks=(*self.chunks, *(one.chunk for one in done)),
            new_bytes=self.new_bytes + sum(one.new_bytes for one in done),
        )


@dataclass(frozen=True, slots=True)
class _Lane:
    """Threads for pieces of one size, and how many of those may be in work."""

    pool: ThreadPoolExecutor
    room: BoundedSemaphore


class ChunkWriter:
    """
    Write the ranges of one batch; leaving the `with` block waits for everything that was begun.

    A chunk that the archive holds already is neither compressed nor sent. Chunks of a batch that fails
    later stay: they are named by their content, so the next attempt finds them.
    """

    def __init__(self, archive: Archive, keys: ArchiveKeys, *, retain_until: datetime) -> None:
        self._archive, self._keys, self._retain_until = archive, keys, retain_until
        self._large, self._small = _lane("chunks", WORKERS), _lane("small-chunks", SMALL_WORKERS)
        self._written: list[_Range] = []
        self._unfinished: _Range | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lane in (self._large, self._small):
            lane.pool.shutdown(wait=True, cancel_futures=error is not None)

    def write(self, plan: RangePlan, pieces: Iterable[Piece], begun: RangeResult | None = None) -> None:
        """
        Store *pieces*, each of whole rows, as the chunks of the range, after those that an earlier attempt has *begun*.

        Whatever *pieces* raises comes out of here, before the range counts as written; so does a failure
        of a chunk that was begun earlier. What was begun of another range is refused: its rows are not of this one.
        """
        if begun and not begun.is_of(plan):
            raise UnexpectedState(f"What was begun of {plan.schema_name}.{plan.name} is of another range.")
        written = _Range(plan, list(begun.chunks) if begun else [], begun.new_bytes if begun else 0)
        self._unfinished = written
        for part, piece in enumerate(pieces, start=len(written.chunks)):
            small = piece.size <= SMALL_BYTES
            kept, lane = (piece.copied(), self._small) if small else (piece, self._large)
            # Waits while the uploads are behind the reader: psql, and with it the server, then wait too.
            lane.room.acquire()
            if self._failure is not None:
                lane.room.release()
                raise self._failure
            long = piece.size > CHUNK_BYTES
            written.begun.append(lane.pool.submit(self._store, lane, plan, kept, part))
            if long:
                # A row of hundreds of megabytes: the next one is read when nothing of this one is left.
                wait(written.begun[-1:])
        self._written.append(written)
        self._unfinished = None

    def results(self) -> tuple[RangeResult, ...]:
        """Return what became of each range, once everything is stored; raises the first failure."""
        return tuple(written.result() for written in self._written)

    def progress(self) -> tuple[tuple[RangeResult, ...], RangeResult | None]:
        """
        Return the whole ranges that are stored, and what is stored of the one after them, once nothing is under way.

        That is all that lies before the first failure.
        """
        whole = list(takewhile(lambda written: all(map(_succeeded, written.begun)), self._written))
        after = [*self._written[len(whole) :], *([self._unfinished] if self._unfinished else [])]
        begun = after[0].result(until_failure=True) if after else None
        return tuple(written.result() for written in whole), begun if begun and begun.chunks else None

    def _store(self, lane: _Lane, plan: RangePlan, piece: Piece, part: int) -> _Written:
        try:
            return self._stored(plan, piece, part)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            piece.release()
            lane.room.release()

    def _stored(self, plan: RangePlan, piece: Piece, part: int) -> _Written:
        rows, plain = piece.rows, piece.size
        with piece.text as text:
            sha256 = hashlib.sha256(text).hexdigest()
            key = self._keys.chunk(sha256)
            stored = self._archive.find(key, retain_until=self._retain_until)
            body = b"" if stored else compressed(text)
        # An upload takes its time; what was read need not wait for it.
        piece.release()
        if stored is None:
            digest = hashlib.sha256(body).hexdigest()
            stored = self._archive.put(key, body, sha256=digest, retain_until=self._retain_until)
        chunk = CopiedChunk(
            table=plan.table,
            sha256=sha256,
            version_id=stored.version_id,
            rows=rows,
            plain=plain,
            stored=stored.size,
            first_block=plan.first_block,
            end_block=plan.end_block,
            part=part,
        )
        return _Written(chunk, stored.size if stored.created else 0)


def compressed(text: bytes | memoryview) -> bytes:
    """Return one zstd frame that tells its plain size and ends with a checksum."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True).compress(text)


def _succeeded(one: Future[_Written]) -> bool:
    return one.exception() is None


def _lane(name: str, workers: int) -> _Lane:
    return _Lane(ThreadPoolExecutor(workers, thread_name_prefix=name), BoundedSemaphore(workers))
