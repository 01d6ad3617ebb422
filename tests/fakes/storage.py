"""Buckets in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import RLock

from holdfast.errors import ArchiveDamaged, UnexpectedState
from holdfast.ports.storage import Stored

_BLOCK = 1024 * 1024


@dataclass
class Version:
    """One version of an object; tests may change its body, as damage would."""

    id: str
    body: bytes
    retain_until: datetime | None


class MemoryArchive:
    """`Archive` in memory; `versions[key]` lists an object's versions, oldest first, None for a delete marker."""

    def __init__(self) -> None:
        self.versions: dict[str, list[Version | None]] = {}
        self.puts = 0
        # The first day there is: tests of time set another.
        self.today = datetime.min.replace(tzinfo=UTC)
        self._one_at_a_time = RLock()

    def put(self, key: str, body: bytes, *, sha256: str, retain_until: datetime | None = None) -> Stored:
        self._refuse_past(retain_until)
        if hashlib.sha256(body).hexdigest() != sha256:
            raise UnexpectedState(f"Storing {key} in the archive failed: the checksum is not the body's.")
        with self._one_at_a_time:
            found = self.find(key, retain_until=retain_until)
            if found:
                return found
            self.puts += 1
            version = Version(f"v{self.puts}", bytes(body), retain_until)
            self.versions.setdefault(key, []).append(version)
            return Stored(version.id, len(body), created=True)

    def find(self, key: str, *, retain_until: datetime | None = None) -> Stored | None:
        newest = self._newest(key)
        if newest and retain_until and (newest.retain_until is None or newest.retain_until < retain_until):
            self._refuse_past(retain_until)
            newest.retain_until = retain_until
        return Stored(newest.id, len(newest.body), created=False) if newest else None

    def withdraw(self, key: str, version_id: str) -> None:
        newest = self._newest(key)
        if newest and newest.id == version_id:
            self.delete(key)

    def read(self, key: str, version_id: str | None = None) -> bytes:
        return b"".join(self.stream(key, version_id))

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        if version_id is None:
            found = self._newest(key)
        else:
            found = next((each for each in self.versions.get(key, []) if each and each.id == version_id), None)
        if found is None:
            raise ArchiveDamaged(f"Reading {key} from the archive failed: NoSuchKey.", key=key)
        for begin in range(0, len(found.body), _BLOCK):
            yield found.body[begin : begin + _BLOCK]

    def delete(self, key: str) -> None:
        """Put a delete marker on *key*, as an outsider would."""
        self.versions[key].append(None)

    def damage(self, key: str, body: bytes) -> None:
        """Change the newest version's bytes behind everybody's back."""
        newest = self._newest(key)
        assert newest is not None
        newest.body = body

    def _refuse_past(self, retain_until: datetime | None) -> None:
        """S3 takes no lock that has ended already."""
        if retain_until and retain_until < self.today:
            raise UnexpectedState("PutObject answered InvalidArgument: the retain until date must be in the future.")

    def _newest(self, key: str) -> Version | None:
        return self.versions[key][-1] if self.versions.get(key) else None


class MemoryScratch:
    """`Scratch` in memory."""

    def __init__(self, bucket: str = "scratch") -> None:
        self.objects: dict[str, bytes] = {}
        self._bucket = bucket

    @property
    def bucket(self) -> str:
        return self._bucket

    def write(self, key: str, body: bytes) -> None:
        self.objects[key] = bytes(body)

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def keys(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self.objects if key.startswith(prefix))
