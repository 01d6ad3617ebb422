"""Count the bytes that are read of an archive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from threading import Lock

from holdfast.contracts.restoring import BytesRead
from holdfast.model.keys import is_chunk
from holdfast.ports.storage import Archive, Stored


class CountedArchive:
    """An `Archive` that counts, while it is read, the bytes of chunks and those of everything else."""

    def __init__(self, archive: Archive) -> None:
        self._archive, self._lock = archive, Lock()
        self._read = BytesRead()

    @property
    def read_so_far(self) -> BytesRead:
        """Return what was read through this object."""
        with self._lock:
            return self._read

    def put(self, key: str, body: bytes, *, sha256: str, retain_until: datetime | None = None) -> Stored:
        """Store *body* as the archive does."""
        return self._archive.put(key, body, sha256=sha256, retain_until=retain_until)

    def find(self, key: str, *, retain_until: datetime | None = None) -> Stored | None:
        """Find *key* as the archive does; nothing of the object is read."""
        return self._archive.find(key, retain_until=retain_until)

    def withdraw(self, key: str, version_id: str) -> None:
        """Withdraw *key* as the archive does."""
        self._archive.withdraw(key, version_id)

    def size(self, key: str, version_id: str) -> int | None:
        """Ask for a version's size as the archive does; nothing of it is read."""
        return self._archive.size(key, version_id)

    def read(self, key: str, version_id: str | None = None) -> bytes:
        """Read a whole object and count it."""
        body = self._archive.read(key, version_id)
        self._count(key, len(body))
        return body

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        """Yield an object's blocks and count those that were taken."""
        for block in self._archive.stream(key, version_id):
            self._count(key, len(block))
            yield block

    def _count(self, key: str, size: int) -> None:
        more = BytesRead(chunks=size) if is_chunk(key) else BytesRead(beside=size)
        with self._lock:
            self._read += more
