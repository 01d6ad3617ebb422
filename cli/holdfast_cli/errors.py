"""What can go wrong between the command and the system that it speaks to."""

from __future__ import annotations

from holdfast.errors import BadRequest, Permanent


class SystemUnreachable(Permanent):
    """AWS or the local cloud does not answer, or nothing is deployed under this name there."""

    hint = "Check credentials, region and network; for the local system, run `holdfast local status`."


class AccessDenied(Permanent):
    """The caller's credentials may not do this."""

    hint = "Ask for the viewer or operator policy of this system."


class UnknownRun(BadRequest):
    """No execution has this name."""

    hint = "`holdfast status` lists those that are running."


class RunFailed(Permanent):
    """An execution ended without success, for a reason that has no name in our tree."""

    hint = "Look at the execution in the Step Functions console, and at the functions' logs."


class Damaged(Permanent):
    """Reading the recovery point back found something that is not as the manifest says."""

    hint = "Use another recovery point, and find out what changed the bucket."


class Interrupted(Permanent):
    """The caller stopped something that this process did itself."""


class Detached(Permanent):
    """The caller stopped watching; what was started goes on."""
