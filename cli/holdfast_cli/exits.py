"""Exit codes: one for each thing that a script may want to tell apart."""

from __future__ import annotations

from enum import IntEnum

from holdfast.errors import HoldfastError
from holdfast_cli.reports import LEFT


class Exit(IntEnum):
    """What the command ends with; `docs/command.md` explains each."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNKNOWN = 4
    REFUSED = 5
    UNREACHABLE = 6
    DENIED = 7
    NO_ROOM = 8
    DEFECT = 70
    DETACHED = 130


_BY_CLASS = {
    "UnknownDatabase": Exit.UNKNOWN,
    "UnknownPoint": Exit.UNKNOWN,
    "UnknownRun": Exit.UNKNOWN,
    "PointNotRestorable": Exit.REFUSED,
    "PointProtected": Exit.REFUSED,
    "BackupAlreadyRunning": Exit.REFUSED,
    "RestoreAlreadyRunning": Exit.REFUSED,
    "SourceRefused": Exit.REFUSED,
    "TargetRefused": Exit.REFUSED,
    "BadConfiguration": Exit.CONFIGURATION,
    "BadRequest": Exit.USAGE,
    "SystemUnreachable": Exit.UNREACHABLE,
    "CloudNotRunning": Exit.UNREACHABLE,
    "CloudFailedToStart": Exit.UNREACHABLE,
    "CloudAlreadyRunning": Exit.REFUSED,
    "DeploymentFailed": Exit.UNREACHABLE,
    "AccessDenied": Exit.DENIED,
    "LocalDiskFull": Exit.NO_ROOM,
    "Detached": Exit.DETACHED,
    "Interrupted": Exit.DETACHED,
    "HoldfastError": Exit.RUN_FAILED,
}


def exit_code(error: BaseException) -> Exit:
    """
    Return the code of the nearest class that has one: an error's own, or that of what it is a kind of.

    What is refused when something has been changed already is a failed run: whoever reads `REFUSED` tries again.
    """
    names = (kind.__name__ for kind in type(error).__mro__)
    found = next((_BY_CLASS[name] for name in names if name in _BY_CLASS), Exit.DEFECT)
    changed = isinstance(error, HoldfastError) and LEFT in error.ids
    return Exit.RUN_FAILED if found is Exit.REFUSED and changed else found
