"""Make directory trees that depend on their contents alone, and name them by those contents."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

EPOCH = 315_532_800  # 1980-01-01, the oldest time that a zip archive can hold
BYTECODE = "__pycache__"


def entries(root: Path) -> Iterator[Path]:
    """Yield everything below *root* in a fixed order, but not bytecode that Python left while running from it."""
    for path in sorted(root.iterdir()):
        if path.name == BYTECODE:
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from entries(path)


def normalise(root: Path) -> None:
    """Give files mode 644, programs and directories 755, and everything the same time."""
    for path in [root, *entries(root)]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def tree_hash(root: Path) -> str:
    """Return the SHA-256 of all paths, modes, links and contents below *root*."""
    digest = hashlib.sha256()
    for path in entries(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            digest.update(f"link {name} -> {path.readlink()}\n".encode())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"file {name} {path.stat().st_mode & 0o777:o} {content}\n".encode())
    return digest.hexdigest()


def size(root: Path) -> int:
    """Return the bytes of all files below *root*, as Lambda counts them."""
    return sum(path.stat().st_size for path in entries(root) if path.is_file() and not path.is_symlink())


def copy_tree(source: Path, target: Path) -> None:
    """Copy *source* without bytecode and without what tools hide there (caches of checkers, for example)."""
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(BYTECODE, "*.pyc", ".*"))
