"""Buckets in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock, RLock

from holdfast.errors import ArchiveDamaged, UnexpectedState
from holdfast.model import collecting
from holdfast.ports.storage import Kept, Page, Stored

_BLOCK = 1024 * 1024
# The first day there is: tests of time set another.
FIRST_DAY = datetime.min.replace(tzinfo=UTC)


@dataclass
class Version:
    """One version of an object; tests may change its body, as damage would."""

    id: str
    body: bytes
    retain_until: datetime | None
    modified_at: datetime = FIRST_DAY
    held: bool = False


@dataclass
class Marker:
    """A delete marker."""

    id: str
    modified_at: datetime


class MemoryArchive:
    """
    `Archive` and `Versions` in memory; `versions[key]` lists an object's versions and delete markers, oldest first.

    `today` is the service's clock, which locks and ages go by.
    """

    def __init__(self, *, page_keys: int = 1000) -> None:
        self.versions: dict[str, list[Version | Marker]] = {}
        self.puts = 0
        self.today = FIRST_DAY
        self._page_keys = page_keys
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
            version = Version(f"v{self.puts}", bytes(body), retain_until, self.today)
            self.versions.setdefault(key, []).append(version)
            return Stored(version.id, len(body), created=True)

    def find(self, key: str, *, retain_until: datetime | None = None) -> Stored | None:
        with self._one_at_a_time:
            newest = self._newest(key)
            if newest and retain_until and (newest.retain_until is None or newest.retain_until < retain_until):
                self._refuse_past(retain_until)
                newest.retain_until = retain_until
            return Stored(newest.id, len(newest.body), created=False) if newest else None

    def withdraw(self, key: str, version_id: str) -> None:
        with self._one_at_a_time:
            newest = self._newest(key)
            if newest and newest.id == version_id:
                self.delete(key)

    def size(self, key: str, version_id: str) -> int | None:
        found = self._version(key, version_id)
        return len(found.body) if found else None

    def read(self, key: str, version_id: str | None = None) -> bytes:
        return b"".join(self.stream(key, version_id))

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        found = self._newest(key) if version_id is None else self._version(key, version_id)
        if found is None:
            raise ArchiveDamaged(f"Reading {key} from the archive failed: NoSuchKey.", code="NoSuchKey", key=key)
        for begin in range(0, len(found.body), _BLOCK):
            yield found.body[begin : begin + _BLOCK]

    def page(self, prefix: str, after: str = "") -> Page:
        with self._one_at_a_time:
            keys = sorted(key for key in self.versions if key.startswith(prefix) and key > after and self.versions[key])
            shown = keys[: self._page_keys]
            found = tuple(_listed(key, each) for key in shown for each in reversed(self.versions[key]))
            return Page(found, self.today, shown[-1] if len(keys) > len(shown) else None)

    def locked(self, versions: Sequence[collecting.Version]) -> Sequence[Kept]:
        with self._one_at_a_time:
            found = [(one, self._version(one.key, one.version_id)) for one in versions]
            return [Kept(one, self._end(stored)) for one, stored in found if stored and self._protected(stored)]

    def remove(self, versions: Sequence[collecting.Version]) -> Sequence[Kept]:
        with self._one_at_a_time:
            kept = []
            for one in versions:
                found = self._version(one.key, one.version_id)
                if found and self._protected(found):
                    kept.append(Kept(one, self._end(found)))
                else:
                    self.versions[one.key] = [
                        each for each in self.versions.get(one.key, []) if each.id != one.version_id
                    ]
            return kept

    def hold(self, versions: Sequence[collecting.Version], *, on: bool) -> int:
        with self._one_at_a_time:
            found = [self._version(one.key, one.version_id) for one in versions]
            for each in found:
                if each:
                    each.held = on
            return found.count(None)

    def _protected(self, version: Version) -> bool:
        return version.held or bool(version.retain_until and version.retain_until > self.today)

    def _end(self, version: Version) -> datetime | None:
        return None if version.held else version.retain_until

    def delete(self, key: str) -> None:
        """Put a delete marker on *key*, as an outsider would."""
        with self._one_at_a_time:
            self.puts += 1
            self.versions[key].append(Marker(f"v{self.puts}", self.today))

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
        with self._one_at_a_time:
            newest = self.versions[key][-1] if self.versions.get(key) else None
            return newest if isinstance(newest, Version) else None

    def _version(self, key: str, version_id: str) -> Version | None:
        found = next((each for each in self.versions.get(key, []) if each.id == version_id), None)
        return found if isinstance(found, Version) else None


def _listed(key: str, found: Version | Marker) -> collecting.Version:
    size = len(found.body) if isinstance(found, Version) else 0
    return collecting.Version(key, found.id, found.modified_at, size, marker=isinstance(found, Marker))


class MemoryScratch:
    """`Scratch` in memory."""

    def __init__(self, bucket: str = "scratch") -> None:
        self.objects: dict[str, bytes] = {}
        self._bucket = bucket
        self._one_at_a_time = Lock()

    @property
    def bucket(self) -> str:
        return self._bucket

    def write(self, key: str, body: bytes) -> None:
        self.objects[key] = bytes(body)

    def create(self, key: str, body: bytes) -> bool:
        with self._one_at_a_time:
            if key in self.objects:
                return False
            self.objects[key] = bytes(body)
            return True

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def keys(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in list(self.objects) if key.startswith(prefix))
