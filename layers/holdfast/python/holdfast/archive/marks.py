"""Which versions of chunks are pinned, for millions of them, in eight bytes each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.uint64]


class Marks:
    """
    A set of (key, version) pairs, kept as 64 bits of a hash of each.

    Two pairs may share their bits, once in millions of runs of millions of chunks: something unneeded is kept then, and
    nothing needed is ever missed.
    """

    def __init__(self, packed: bytes = b"") -> None:
        self._sorted: _Array = np.frombuffer(packed, dtype="<u8")

    def __len__(self) -> int:
        return int(self._sorted.size)

    def __contains__(self, pair: tuple[str, str]) -> bool:
        mark = _mark(*pair)
        position = int(np.searchsorted(self._sorted, mark))
        return position < self._sorted.size and bool(self._sorted[position] == mark)

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add *pairs*, each (key, version)."""
        new = np.fromiter((_mark(key, version) for key, version in pairs), dtype="<u8")
        self._sorted = np.unique(np.concatenate([self._sorted, new]))

    def packed(self) -> bytes:
        """Return the set as bytes, for the next invocation."""
        return self._sorted.tobytes()


def _mark(key: str, version: str) -> np.uint64:
    digest = hashlib.blake2b(f"{key}\0{version}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))
