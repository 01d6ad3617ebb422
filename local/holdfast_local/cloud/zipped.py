"""Zip a directory as CDK does for an asset: same files, same bytes."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)


def zip_directory(root: Path) -> bytes:
    """
    Return the files under *root* as a zip, with their modes and symbolic links.

    Nothing is compressed: the package goes only to a server on this machine, and compressing a layer of
    60 MB takes seconds. Dates are fixed and names sorted, so the same files give the same bytes.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(_files(root)):
            mode = path.lstat().st_mode
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), EPOCH)
            entry.external_attr = (mode & 0xFFFF) << 16
            archive.writestr(entry, os.readlink(path) if stat.S_ISLNK(mode) else path.read_bytes())  # noqa: PTH115
    return buffer.getvalue()


def _files(root: Path) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(root):
        found += [Path(folder, file) for file in files]
        found += [Path(folder, name) for name in folders if Path(folder, name).is_symlink()]
    return found
