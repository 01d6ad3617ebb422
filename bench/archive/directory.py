"""
Buckets as directories, so that what is measured is Holdfast and not a local S3 server's CPU.

They keep the ports' promises: an object of the archive is created once, by whoever links it first (`link` fails
when the name is taken, as `If-None-Match: *` does), and readers see whole objects only. A version is the file's
own number; what is withdrawn lies on under its name and version. Nothing is synced to disk, as on the other side.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from holdfast.errors import ArchiveDamaged, UnexpectedState
from holdfast.model.collecting import Version
from holdfast.ports.storage import Kept, Page, Stored

_BLOCK = 1 << 20


class DirectoryArchive:
    """The locked bucket in *root*. Retention is not enforced here."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, body: bytes, *, sha256: str, retain_until: datetime | None = None) -> Stored:
        """Create the object unless something is there; raises `UnexpectedState` when *sha256* is not the body's."""
        del retain_until
        if hashlib.sha256(body).hexdigest() != sha256:
            raise UnexpectedState(f"Storing {key} in the archive failed: the checksum is not the body's.")
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(body)
        try:
            os.link(file.name, path)
        except FileExistsError:
            return Stored(_version(path), path.stat().st_size, created=False)
        finally:
            Path(file.name).unlink()
        return Stored(_version(path), len(body), created=True)

    def find(self, key: str, *, retain_until: datetime | None = None) -> Stored | None:
        """Return the object under *key*, if any."""
        del retain_until
        path = self._root / key
        return Stored(_version(path), path.stat().st_size, created=False) if path.is_file() else None

    def withdraw(self, key: str, version_id: str) -> None:
        """Hide that version from everybody who does not name it; a newer one stays."""
        path = self._root / key
        if path.is_file() and _version(path) == version_id:
            path.rename(_withdrawn(path, version_id))

    def size(self, key: str, version_id: str) -> int | None:
        """Return how many bytes that version has, or nothing."""
        path, withdrawn = self._root / key, _withdrawn(self._root / key, version_id)
        if withdrawn.is_file():
            return withdrawn.stat().st_size
        return path.stat().st_size if path.is_file() and _version(path) == version_id else None

    def read(self, key: str, version_id: str | None = None) -> bytes:
        """Return a whole object."""
        return b"".join(self.stream(key, version_id))

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        """Yield an object in blocks of 1 MiB."""
        path = self._root / key
        if version_id and _withdrawn(path, version_id).is_file():
            path = _withdrawn(path, version_id)
        try:
            with path.open("rb", buffering=0) as file:
                if version_id not in {None, _version(path)}:
                    raise ArchiveDamaged(f"Reading {key} from the archive failed: NoSuchVersion.", key=key)
                while block := file.read(_BLOCK):
                    yield block
        except FileNotFoundError:
            raise ArchiveDamaged(f"Reading {key} from the archive failed: NoSuchKey.", key=key) from None

    def all_bytes(self) -> int:
        """Return the bytes of all objects."""
        return sum(path.stat().st_size for path in self._root.rglob("*") if path.is_file())


class DirectoryVersions:
    """Every version in the locked bucket in *root*; nothing is removed from it here."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def page(self, prefix: str, after: str = "") -> Page:
        """Return all newest versions of the folder *prefix* at once."""
        paths = sorted(path for path in (self._root / prefix).glob("*") if not path.name.startswith("."))
        now = datetime.now(UTC)
        found = (Version(f"{prefix}{path.name}", _version(path), now, path.stat().st_size) for path in paths)
        return Page(tuple(version for version in found if version.key > after), now, None)

    def locked(self, versions: Sequence[Version]) -> Sequence[Kept]:  # noqa: ARG002  # a folder has no locks
        """Return nothing."""
        return ()

    def remove(self, versions: Sequence[Version]) -> Sequence[Kept]:
        """Remove nothing: the bench collects nothing."""
        raise UnexpectedState(f"{len(versions)} versions were to be removed.")


class DirectoryScratch:
    """The bucket of plans and progress in *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def bucket(self) -> str:
        """Return the bucket's name."""
        return self._root.name

    def write(self, key: str, body: bytes) -> None:
        """Store *body* under *key*, replacing what was there at once."""
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(body)
        Path(file.name).rename(path)

    def create(self, key: str, body: bytes) -> bool:
        """Store *body* under *key* unless something is there already; answer whether it was stored."""
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            file.write(body)
        try:
            path.hardlink_to(file.name)
        except FileExistsError:
            return False
        finally:
            Path(file.name).unlink()
        return True

    def read(self, key: str) -> bytes | None:
        """Return the object, or nothing."""
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with *prefix*, sorted."""
        found = (path.relative_to(self._root) for path in self._root.rglob("*") if path.is_file())
        yield from sorted(str(key) for key in found if str(key).startswith(prefix) and not key.name.startswith("."))


def _version(path: Path) -> str:
    """Return a version id: the file's own number, which a linked file keeps for life."""
    return f"i{path.stat().st_ino}"


def _withdrawn(path: Path, version_id: str) -> Path:
    return path.with_name(f".{path.name}.{version_id}")
