"""Rows on their way into the archive, in buffers that are used again."""

from __future__ import annotations


class Buffers:
    """
    Buffers of one size. A fresh one costs the kernel a fault for each of its pages, a third of what reading costs.

    Taking and giving back is safe between threads.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free: list[bytearray] = []

    def take(self) -> bytearray:
        """Return a buffer with whatever is in it."""
        try:
            return self._free.pop()
        except IndexError:
            return bytearray(self.size)

    def give(self, buffer: bytearray) -> None:
        """Take a buffer back; one that grew for a long row is let go."""
        if len(buffer) == self.size:
            self._free.append(buffer)


class Piece:
    """Whole rows of COPY text: the first *size* bytes of a buffer, which `release` gives back."""

    def __init__(self, buffer: bytearray, size: int, buffers: Buffers) -> None:
        self._buffer, self._buffers = buffer, buffers
        self.size = size

    @property
    def text(self) -> memoryview:
        """Return the bytes without copying them; let go of it before `release`."""
        return memoryview(self._buffer)[: self.size]

    @property
    def rows(self) -> int:
        """Return how many rows there are: each ends in a newline; COPY writes one inside a row otherwise."""
        return self._buffer.count(b"\n", 0, self.size)

    def copied(self) -> Piece:
        """Return a piece with the same rows in memory of its own size, and release this one."""
        own = Piece(self._buffer[: self.size], self.size, self._buffers)
        self.release()
        return own

    def release(self) -> None:
        """Give the buffer back; the piece is empty then. May be repeated."""
        buffer, self._buffer, self.size = self._buffer, bytearray(), 0
        self._buffers.give(buffer)

    def __bytes__(self) -> bytes:
        return bytes(self.text)
