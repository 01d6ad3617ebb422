"""Read chunks of the archive as a stream, and believe none that is not what the manifest says."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Full, Queue
from types import TracebackType
from typing import Self

import zstandard

from holdfast.contracts.manifest import Chunk
from holdfast.errors import ArchiveDamaged
from holdfast.ports.storage import Archive

BLOCK = 256 * 1024
_AHEAD = 32
SMALL_BYTES = 1 << 20
_FETCHERS = 8
_SMALL_AHEAD = 16
REMEDY = "Verify the point, which names all that is damaged and keeps it from being the latest; then take another one."


def rows_of(archive: Archive, key: str, chunk: Chunk, *, what: str) -> Iterator[bytes]:
    """
    Yield a chunk's rows as COPY text in blocks, decompressed and hashed on the way.

    `ArchiveDamaged` comes after the last block at the latest: nothing may be committed before the iterator
    has ended. It never yields more than the manifest says, so a forged object cannot fill the target.
    """
    hasher, plain = hashlib.sha256(), 0
    source = _Counted(archive.stream(key, chunk.version_id))
    try:
        for piece in _decompressed(source):
            plain += len(piece)
            if plain > chunk.plain or source.read_so_far > chunk.stored:
                raise _damaged(what, key, "is longer than the manifest says")
            hasher.update(piece)
            yield piece
    except zstandard.ZstdError as error:
        raise _damaged(what, key, "cannot be decompressed") from error
    stored = source.read_so_far
    if (plain, stored) != (chunk.plain, chunk.stored):
        raise _damaged(what, key, "is shorter than the manifest says")
    if hasher.hexdigest() != chunk.sha256:
        raise _damaged(what, key, "holds other bytes than the manifest says")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chunk under its *key*; *what* names it for people."""

    key: str
    chunk: Chunk
    what: str

    def rows(self, archive: Archive) -> Iterator[bytes]:
        """Yield its rows as `rows_of` does."""
        return rows_of(archive, self.key, self.chunk, what=self.what)


class Fetching:
    """
    Fetch chunks in the order in which they are used; leaving the `with` block ends it.

    A small chunk is one request, which takes tens of milliseconds, and hardly a byte: some are fetched side by side,
    and checked, before their turn comes. Large ones are streamed when it does.
    """

    def __init__(self, archive: Archive, wanted: Sequence[Wanted]) -> None:
        self._archive, self._wanted = archive, wanted
        self._pool = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch")
        self._begun: dict[int, Future[tuple[bytes, ...]]] = {}
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    @contextmanager
    def blocks(self, at: int) -> Iterator[Iterator[bytes]]:
        """Give the rows of the *at*-th chunk; whatever comes before it is wanted no more. Raises like `rows_of`."""
        self._begin(at)
        if fetched := self._begun.pop(at, None):
            yield iter(fetched.result())
        else:
            with ahead(self._wanted[at].rows(self._archive)) as blocks:
                yield blocks

    def _begin(self, at: int) -> None:
        self._begun = {number: fetched for number, fetched in self._begun.items() if number >= at}
        end = min(at + _SMALL_AHEAD, len(self._wanted))
        for number in range(max(self._next, at), end):
            if self._wanted[number].chunk.plain <= SMALL_BYTES:
                self._begun[number] = self._pool.submit(self._whole, self._wanted[number])
        self._next = max(self._next, end)

    def _whole(self, wanted: Wanted) -> tuple[bytes, ...]:
        return tuple(wanted.rows(self._archive))


class _Counted:
    """A file for the decompressor: blocks as they come, counted."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self.read_so_far = 0

    def read(self, _size: int = -1) -> bytes:
        block = next(self._blocks, b"")
        self.read_so_far += len(block)
        return block


def _decompressed(source: _Counted) -> Iterator[bytes]:
    """Yield plain blocks of bounded size, however well they were compressed."""
    # The stub wants a whole file; the decompressor only ever reads.
    reader = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)  # type: ignore[arg-type]
    while block := reader.read(BLOCK):
        yield block


def _damaged(what: str, key: str, problem: str) -> ArchiveDamaged:
    return ArchiveDamaged(f"The chunk of {what} {problem}.", hint=REMEDY, key=key)


@contextmanager
def ahead(blocks: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """
    Read *blocks* in a thread, some ahead of their use, so that fetching and writing overlap.

    Errors of the thread come out of the iterator. Leaving the `with` block early ends the thread.
    """
    reader = _Ahead(blocks)
    reader.start()
    try:
        yield reader.taken()
    finally:
        reader.over.set()
        reader.join()


class _Ahead(threading.Thread):
    def __init__(self, blocks: Iterator[bytes]) -> None:
        super().__init__(name="fetch ahead", daemon=True)
        self._blocks = blocks
        self._waiting: Queue[bytes | BaseException | None] = Queue(_AHEAD)
        self.over = threading.Event()

    def run(self) -> None:
        try:
            for block in self._blocks:
                if not self._offer(block):
                    return
            self._offer(None)
        except BaseException as error:  # noqa: BLE001  # raised again by the reader
            self._offer(error)

    def taken(self) -> Iterator[bytes]:
        while (item := self._waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _offer(self, item: bytes | BaseException | None) -> bool:
        while not self.over.is_set():
            with suppress(Full):
                self._waiting.put(item, timeout=0.1)
                return True
        return False
