"""Unpack deployment packages and layers once, as Lambda shows them to a function."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import threading
import time
import uuid
import zipfile
from pathlib import Path

FORMAT = "1"  # to be raised when what is unpacked from the same bytes changes
KEPT_SECONDS = 3 * 86400.0


class Packages:
    """
    A directory of unpacked zip files, each named by the SHA-256 of its bytes.

    Functions share the unpacked copy, so a layer of 60 MB lies on the disk once. File modes and
    symbolic links are kept (programs in `bin`, library versions in `lib`). Copies outlive the server,
    which saves the next one the work; those that nothing has used for three days are removed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / FORMAT
        self._lock = threading.Lock()
        self._digests: dict[int, tuple[bytes, str]] = {}
        self._root.mkdir(parents=True, exist_ok=True)
        for unpacked in self._root.iterdir():
            if unpacked.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(unpacked, ignore_errors=True)

    def digest(self, package: bytes) -> str:
        """Return the SHA-256 of *package* in hex, computed once for each bytes object."""
        known = self._digests.get(id(package))
        if known is None or known[0] is not package:
            known = self._digests[id(package)] = (package, hashlib.sha256(package).hexdigest())
        return known[1]

    def unpack(self, package: bytes) -> Path:
        """Return the directory that holds the files of *package*."""
        target = self._root / self.digest(package)[:32]
        with self._lock:
            if target.exists():
                os.utime(target)
            else:
                self._extract(package, target)
        return target

    def _extract(self, package: bytes, target: Path) -> None:
        partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
        partial.mkdir()
        try:
            with zipfile.ZipFile(io.BytesIO(package)) as archive:
                for entry in archive.infolist():
                    _extract_entry(archive, entry, partial)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _extract_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, root: Path) -> None:
    mode = entry.external_attr >> 16
    if stat.S_ISLNK(mode):
        link = root / entry.filename
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(archive.read(entry).decode())
        return
    extracted = Path(archive.extract(entry, root))
    if mode & 0o777:
        extracted.chmod((mode & 0o777) | (0o700 if entry.is_dir() else 0o400))
