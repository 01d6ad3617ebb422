"""What can go wrong with the local cloud itself (as opposed to with what runs in it)."""

from __future__ import annotations

from holdfast.errors import Permanent


class CloudNotRunning(Permanent):
    """No local cloud answers for this state directory."""

    hint = "Start it with `holdfast local up`."


class CloudFailedToStart(Permanent):
    """The server process ended, or did not answer in time."""

    hint = "Read server.log in the state directory."


class CloudAlreadyRunning(Permanent):
    """A local cloud runs already for this state directory."""

    hint = "Stop it first with `holdfast local down`."


class DeploymentFailed(Permanent):
    """CloudFormation refused a stack, or an assembly cannot be deployed here."""

    hint = "Read the reasons above; the template is in the assembly directory."


class ScheduleRefused(Permanent):
    """A schedule cannot be fired: it does not exist, is disabled, or its role may not do what it asks."""

    hint = "List the schedules of the deployed stacks."


class HookBroken(Permanent):
    """A package is not the version that the local cloud was written for."""

    hint = "Install the locked dependencies; after an upgrade, adapt the hook and run the conformance tests."
