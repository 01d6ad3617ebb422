"""
Say which user runs the servers, and find directories that this user can reach.

PostgreSQL refuses to run as root. When we are root its programs run as nobody (uid 65534), who can
neither enter a clone below /root (mode 700) nor pytest's directories, so that programs and data then
move to a place below /var/tmp. An ordinary user needs none of this.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import BadConfiguration

NOBODY = 65534
PUBLIC_ROOT = Path("/var/tmp")  # noqa: S108  (survives reboots, and everybody may traverse it; contents are checked)


@dataclass(frozen=True)
class Identity:
    """The user and group that PostgreSQL's programs run as; *drops* tells that we are root and give that up."""

    uid: int
    gid: int
    drops: bool

    def popen_arguments(self) -> dict[str, Any]:
        """Return the arguments of `subprocess.Popen` that make a child run as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.drops else {}

    def own(self, path: Path, *, mode: int) -> None:
        """Give *path* to this user with exactly *mode*, whatever the umask was."""
        path.chmod(mode)
        if self.drops:
            os.chown(path, self.uid, self.gid)


def current_identity() -> Identity:
    """Return nobody when we are root, and ourselves otherwise."""
    if os.geteuid() == 0:
        return Identity(NOBODY, NOBODY, drops=True)
    return Identity(os.geteuid(), os.getegid(), drops=False)


def can_enter(path: Path, identity: Identity) -> bool:
    """Tell whether *identity* may walk to and into *path*; always true for a user that we already are."""
    if not identity.drops:
        return True
    real = path.resolve()
    return all(_may_search(step.stat(), identity) for step in (real, *real.parents))


def _may_search(found: os.stat_result, identity: Identity) -> bool:
    owner = found.st_uid == identity.uid
    return bool(found.st_mode & (stat.S_IXUSR if owner else stat.S_IXOTH))


def new_public_directory() -> Path:
    """Make an empty directory of ours that everybody may traverse and nobody else may write or list."""
    made = Path(tempfile.mkdtemp(prefix=f"holdfast-{os.geteuid()}-", dir=PUBLIC_ROOT))
    made.chmod(0o711)
    return made


def public_copy(key: str, root: Path, parts: tuple[str, ...], finish: Callable[[Path], None] | None = None) -> Path:
    """
    Return a copy of *parts* of *root* that everybody may read, made once per *key* and changed by *finish*.

    The place is guessable, so that it is used only when it is ours alone: a directory (not a link) of our
    user that nobody else may write. Whatever lies inside was then put there by us. The copy appears by an
    atomic rename, so that two processes may race for it.
    """
    place = PUBLIC_ROOT / f"holdfast-{os.geteuid()}-{key}"
    if not place.exists():
        fresh = new_public_directory()
        for part in parts:
            shutil.copytree(root / part, fresh / part, symlinks=True)
        if finish is not None:
            finish(fresh)
        _open_to_readers(fresh)
        try:
            fresh.rename(place)
        except OSError:
            shutil.rmtree(fresh)  # somebody else was faster; what they left is checked below
    refuse_foreign(place)
    return place


def refuse_foreign(place: Path) -> None:
    """Raise `BadConfiguration` unless *place* is a directory of ours into which nobody else can write."""
    found = place.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BadConfiguration(
            f"{place} belongs to somebody else or is writable by others, so programs in it are not run.",
            hint="Find out who made it, remove it and try again.",
        )


def _open_to_readers(tree: Path) -> None:
    for folder, _folders, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
