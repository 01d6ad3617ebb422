"""Store rows as chunks: hashed, compressed and uploaded side by side, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from threading import BoundedSemaphore
from types import TracebackType
from typing import Self

import zstandard

from holdfast.archive.pieces import Piece
from holdfast.contracts.documents import RangePlan, RangeResult
from holdfast.contracts.manifest import Chunk
from holdfast.model.keys import ArchiveKeys
from holdfast.ports.storage import Archive

LEVEL = 1
# Two pieces in work beside the one that is being read: three buffers of 32 MiB, and two compressed pieces.
WORKERS = 2


@dataclass(frozen=True, slots=True)
class _Written:
    chunk: Chunk
    new_bytes: int


@dataclass(slots=True)
class _Range:
    plan: RangePlan
    chunks: list[Future[_Written]] = field(default_factory=list)


class ChunkWriter:
    """
    Write the ranges of one batch; leaving the `with` block waits for everything that was begun.

    A chunk that the archive holds already is neither compressed nor sent. Chunks of a batch that fails
    later stay: they are named by their content, so the next attempt finds them.
    """

    def __init__(self, archive: Archive, keys: ArchiveKeys, *, retain_until: datetime) -> None:
        self._archive, self._keys, self._retain_until = archive, keys, retain_until
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="chunks")
        self._room = BoundedSemaphore(WORKERS)
        self._ranges: list[_Range] = []
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)

    def write(self, plan: RangePlan, pieces: Iterable[Piece]) -> None:
        """
        Store *pieces*, each of whole rows, as the chunks of the range.

        Whatever *pieces* raises comes out of here, before the range counts as written; so does a failure
        of a chunk that was begun earlier.
        """
        written = _Range(plan)
        for part, piece in enumerate(pieces):
            # Waits while the uploads are behind the reader: psql, and with it the server, then wait too.
            self._room.acquire()
            if self._failure is not None:
                self._room.release()
                raise self._failure
            written.chunks.append(self._pool.submit(self._store, plan, piece, part))
        self._ranges.append(written)

    def results(self) -> tuple[RangeResult, ...]:
        """Return what became of each range, once everything is stored; raises the first failure."""
        return tuple(_result(written) for written in self._ranges)

    def _store(self, plan: RangePlan, piece: Piece, part: int) -> _Written:
        try:
            return self._stored(plan, piece, part)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            piece.release()
            self._room.release()

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
        chunk = Chunk(
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


def _result(written: _Range) -> RangeResult:
    done = [chunk.result() for chunk in written.chunks]
    return RangeResult(
        table=written.plan.table,
        first_block=written.plan.first_block,
        end_block=written.plan.end_block,
        chunks=tuple(one.chunk for one in done),
        new_bytes=sum(one.new_bytes for one in done),
    )
