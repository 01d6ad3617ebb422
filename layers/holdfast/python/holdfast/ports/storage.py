"""Buckets: the locked archive, and scratch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from holdfast.model.collecting import Version


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it lies in the bucket: its version, its size in bytes and whether this call created it."""

    version_id: str
    size: int
    created: bool


class Archive(Protocol):
    """The locked bucket. Objects are never overwritten; readers name the version that they mean."""

    def put(self, key: str, body: bytes, *, sha256: str, retain_until: datetime | None = None) -> Stored:
        """
        Store *body* under *key* unless something is there already (`If-None-Match: *`); says which.

        *sha256* (hex, of *body*) is sent along, so that the service refuses what was damaged on the way.
        May be repeated. Raises `StorageThrottled`.
        """

    def find(self, key: str, *, retain_until: datetime | None = None) -> Stored | None:
        """
        Return the newest version under *key*, if any (delete markers do not count as objects).

        With *retain_until* what is found stays locked at least until then. May be repeated.
        """

    def withdraw(self, key: str, version_id: str) -> None:
        """
        Hide *key* by a delete marker while *version_id* is its newest version, so that `put` stores it anew.

        Nothing is removed: whoever names the version still reads it. May be repeated; does nothing when
        another version is the newest, or none is.
        """

    def size(self, key: str, version_id: str) -> int | None:
        """Return how many bytes that version has, or nothing when it is missing. May be repeated."""

    def read(self, key: str, version_id: str | None = None) -> bytes:
        """Return a whole object. Raises `ArchiveDamaged` when it or that version is missing."""

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        """
        Yield an object in blocks of about 1 MiB.

        Raises `ArchiveDamaged` when missing, and `StorageThrottled` when connections keep breaking.
        """


@dataclass(frozen=True, slots=True)
class Page:
    """
    The complete versions of some keys in order; *after* continues the list, and is None at its end.

    *seen_at* is the service's own time when it answered.
    """

    versions: tuple[Version, ...]
    seen_at: datetime
    after: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A version that a lock protects against removal, and until when; None: until somebody ends a legal hold."""

    version: Version
    retained_until: datetime | None


class Versions(Protocol):
    """Every version of every object of the locked bucket, and their end."""

    def page(self, prefix: str, after: str = "") -> Page:
        """
        Return the next versions of keys that start with *prefix* and come after the key *after*.

        Strongly consistent. Raises `UnexpectedState` when the service does not say how the list goes on.
        """

    def locked(self, versions: Sequence[Version]) -> Sequence[Kept]:
        """Return those of *versions* that a lock protects just now; delete markers never are. May be repeated."""

    def remove(self, versions: Sequence[Version]) -> Sequence[Kept]:
        """
        Remove at most a thousand versions for ever, and return those that a lock protects.

        One that is gone already counts as removed, so it may be repeated. Raises `BadConfiguration` when something
        else than a lock refuses.
        """


class LegalHolds(Protocol):
    """Legal holds on versions: while one is on, nobody removes the version, whatever rights they have."""

    def hold(self, versions: Sequence[Version], *, on: bool) -> int:
        """Set or end the hold of *versions*; returns how many are not there any more. May be repeated."""


class Scratch(Protocol):
    """The bucket of plans and progress: no lock, expires by itself. Every method may be repeated."""

    def write(self, key: str, body: bytes) -> None:
        """Store *body* under *key*, replacing what was there."""

    def create(self, key: str, body: bytes) -> bool:
        """
        Store *body* under *key* unless something is there already (`If-None-Match: *`); answer whether it was stored.

        False may be told of what this very call stored, when an answer got lost: read what lies there.
        """

    def read(self, key: str) -> bytes | None:
        """Return the object, or nothing."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with *prefix*, sorted."""

    @property
    def bucket(self) -> str:
        """Return the bucket's name, for the Map's reader."""
