"""Take the lock of a database over from a run that died with it."""

from __future__ import annotations

from contextlib import suppress

from holdfast.errors import BackupAlreadyRunning, UnknownPoint
from holdfast.model.points import PointState
from holdfast.ports.catalogue import Holds, Points
from holdfast.ports.executions import Executions


def take_over(
    running: BackupAlreadyRunning, execution: str, *, points: Points, holds: Holds, executions: Executions
) -> None:
    """
    Fail the point of the run that holds the lock, if it has one, and release the lock; raise *running* if it lives.

    A run that ended without releasing its lock was stopped or timed out. Two runs may meet here: taking the lock
    afterwards lets only one of them pass. A function of the dead run may still be at work for minutes: one that
    copies cannot make a point of it, one that collects is stopped by the locks on everything that a backup pins.
    """
    database, holder = str(running.ids["database"]), str(running.ids["execution"])
    if holder != execution and executions.running(holder):
        raise running
    if other := str(running.ids.get("point", "")):
        with suppress(UnknownPoint):  # a lock must not outlive a point that is gone from the catalogue
            if points.get(other).state is PointState.CAPTURING:
                points.advance(other, PointState.FAILED, failure="Its execution ended before the backup did.")
        holds.end(other)
    points.release(database, holder)
