"""
Physical copies of a server, and the replay of archived WAL on top of them.

A copy is what `pg_basebackup` makes. To make an asked moment run again, the newest copy that ended before it
is put into a new data directory and recovers from the archive up to that moment, as a provider does it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from holdfast.errors import BadRequest
from holdfast_local.postgres import cluster as files
from holdfast_local.postgres.identity import Identity

SIGNAL = "recovery.signal"


@dataclass(frozen=True, slots=True)
class Moment:
    """When to end the replay: after the last commit at or before *time*, at *lsn*, or, with neither, at the end."""

    time: datetime | None = None
    lsn: str | None = None

    def settings(self) -> dict[str, str]:
        """Return the server's settings that end its recovery there."""
        if self.time is not None:
            return {"recovery_target_time": self.time.isoformat()}
        return {"recovery_target_lsn": self.lsn} if self.lsn is not None else {}


@dataclass(frozen=True, slots=True)
class Copy:
    """A physical copy in *directory*: complete, and consistent from *ended_at* and *ended_lsn* on."""

    directory: Path
    ended_at: datetime
    ended_lsn: str

    def reaches(self, moment: Moment) -> bool:
        """Answer whether a replay that starts with this copy can end at *moment*."""
        if moment.time is not None:
            return self.ended_at <= moment.time
        return moment.lsn is None or position(self.ended_lsn) <= position(moment.lsn)


def newest_reaching(copies: Iterable[Copy], moment: Moment) -> Copy:
    """Return the newest copy from which *moment* can be reached; raises `BadRequest` when all are younger."""
    fit = [copy for copy in copies if copy.reaches(moment)]
    if not fit:
        raise BadRequest(f"The moment {moment.time or moment.lsn} lies before the server's history.")
    return max(fit, key=lambda copy: position(copy.ended_lsn))


def lay_out(
    copy: Copy, archive: Path, directory: Path, owner: Identity, *, password: str, moment: Moment
) -> dict[str, str]:
    """
    Put *copy* into *directory* as a data directory that recovers to *moment* when it is started.

    Returns the settings to start it with; the superuser keeps *password*, which is the copied server's.
    """
    cluster = files.open_cluster(directory, owner)
    if cluster.data.exists():
        raise BadRequest(f"{directory} holds a server already.")
    shutil.copytree(copy.directory, cluster.data, symlinks=True)
    (cluster.data / SIGNAL).touch()
    _own_all(cluster.data, owner)
    files.write_private(cluster.directory / "password", password)
    return {
        "restore_command": f'cp "{archive}/%f" "%p"',
        "recovery_target_action": "promote",
        "recovery_target_timeline": "current",
        # Nobody is let in before the moment is reached: a server that replays yet calls itself ready.
        "hot_standby": "off",
        **moment.settings(),
    }


def position(lsn: str) -> int:
    """Return the position that an LSN such as `0/3000148` stands for, in bytes."""
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def _own_all(root: Path, owner: Identity) -> None:
    for folder, _, names in os.walk(root):
        owner.own(Path(folder), mode=0o700)
        for name in names:
            owner.own(Path(folder, name), mode=0o600)
