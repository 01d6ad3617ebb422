"""Local files that nobody takes for complete before they are: each grows under another name."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from holdfast.errors import BadRequest, LocalDiskFull

GROWING = ".part"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def growing(path: Path) -> Path:
    """Return where *path* grows until it is complete."""
    return path.with_name(path.name + GROWING)


@contextmanager
def file_to(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets the name *path* when the block ends well; raises `LocalDiskFull`."""
    with trouble_at(path):
        with growing(path).open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        growing(path).replace(path)


@contextmanager
def trouble_at(path: Path) -> Iterator[None]:
    """Turn the operating system's troubles with *path* into ours; raises `LocalDiskFull` and `BadRequest`."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise LocalDiskFull(f"There is no room left for {path}.", path=str(path)) from error
        raise BadRequest(
            f"{path} cannot be written: {os.strerror(error.errno or 0)}.", hint="Give another place with --to."
        ) from error
