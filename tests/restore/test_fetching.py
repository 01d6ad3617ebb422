"""Small chunks are fetched side by side, a few ahead of their use, and judged at their own turn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from threading import Barrier

import pytest
import zstandard

from fakes import MemoryArchive
from holdfast.contracts.manifest import Chunk
from holdfast.errors import ArchiveDamaged
from holdfast.usecases.restore import fetching
from holdfast.usecases.restore.fetching import Fetching, Wanted

MANY = 100


class WatchedArchive(MemoryArchive):
    """Notes what is read; with a *barrier*, nothing is read before that many read at once."""

    def __init__(self, barrier: Barrier | None = None) -> None:
        super().__init__()
        self.read_keys: list[str] = []
        self._barrier = barrier

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        self.read_keys.append(key)
        if self._barrier:
            self._barrier.wait(20)
        yield from super().stream(key, version_id)


def _stored(archive: MemoryArchive, count: int) -> list[Wanted]:
    wanted = []
    for number in range(count):
        plain = f"row {number}\n".encode()
        packed = zstandard.compress(plain)
        stored = archive.put(f"k{number:03d}", packed, sha256=hashlib.sha256(packed).hexdigest())
        sha256 = hashlib.sha256(plain).hexdigest()
        chunk = Chunk(sha256=sha256, version_id=stored.version_id, rows=1, plain=len(plain), stored=len(packed))
        wanted.append(Wanted(f"k{number:03d}", chunk, f"t{number}"))
    return wanted


def _read(fetching: Fetching, at: int) -> bytes:
    with fetching.blocks(at) as blocks:
        return b"".join(blocks)


def test_every_chunk_is_given_at_its_turn() -> None:
    archive = WatchedArchive()

    with Fetching(archive, _stored(archive, MANY)) as fetching:
        found = [_read(fetching, at) for at in range(MANY)]

    assert found == [f"row {number}\n".encode() for number in range(MANY)]
    assert len(archive.read_keys) == MANY


def test_small_chunks_are_fetched_side_by_side() -> None:
    archive = WatchedArchive(Barrier(4))

    with Fetching(archive, _stored(archive, 4)) as fetching:
        assert [_read(fetching, at) for at in range(4)][3] == b"row 3\n"


def test_only_some_are_fetched_ahead() -> None:
    archive = WatchedArchive()

    with Fetching(archive, _stored(archive, MANY)) as fetching:
        _read(fetching, 0)

    assert len(archive.read_keys) <= 16


def test_a_damaged_chunk_is_told_at_its_own_turn() -> None:
    archive = WatchedArchive()
    wanted = _stored(archive, 3)
    archive.versions["k001"].clear()

    with Fetching(archive, wanted) as fetching:
        assert _read(fetching, 0) == b"row 0\n"
        with pytest.raises(ArchiveDamaged, match="k001"):
            _read(fetching, 1)
        assert _read(fetching, 2) == b"row 2\n"


def test_a_large_chunk_is_not_fetched_before_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SMALL_BYTES", 1)
    archive = WatchedArchive()

    with Fetching(archive, _stored(archive, 3)) as some:
        assert _read(some, 0) == b"row 0\n"
        assert archive.read_keys == ["k000"]
        assert _read(some, 2) == b"row 2\n"
