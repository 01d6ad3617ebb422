"""Executions of the state machines: start one, look at it, list those that run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from holdfast.contracts.restoring import Progress
from holdfast.errors import HoldfastError
from holdfast_cli.errors import UnknownRun
from holdfast_cli.failures import failure
from holdfast_cli.steps import History, Step, merged

RUNNING = "RUNNING"
SUCCEEDED = "SUCCEEDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution as Step Functions describes it; *output* is empty until it has succeeded."""

    arn: str
    status: str
    started_at: datetime
    ended_at: datetime | None = None
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    error: str = ""
    cause: str = ""

    @property
    def name(self) -> str:
        """Return the execution's name, unique within its machine."""
        return self.arn.rpartition(":")[2]

    @property
    def machine(self) -> str:
        """Return the name of the state machine."""
        return self.arn.split(":")[6]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status == RUNNING

    def seconds(self, now: datetime) -> float:
        """Return how long it took, or has taken until *now*."""
        return ((self.ended_at or now) - self.started_at).total_seconds()

    def failure(self) -> HoldfastError:
        """Return why it did not succeed."""
        name = self.error or {"ABORTED": "Aborted", "TIMED_OUT": "States.Timeout"}.get(self.status, self.status)
        return failure(name, self.cause, execution=self.arn)


class Runs:
    """The executions of one deployed system; *client* is that of Step Functions."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def start(self, machine: str, request: Mapping[str, Any], *, label: str) -> str:
        """Start the machine with this ARN and return the execution's; *label* begins its name."""
        now = datetime.now(UTC)
        name = f"{label}-{now:%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
        answer = self._client.start_execution(stateMachineArn=machine, name=name[-80:], input=json.dumps(request))
        return str(answer["executionArn"])

    def get(self, arn: str) -> Run:
        """Return the execution; raises `UnknownRun`."""
        try:
            found = self._client.describe_execution(executionArn=arn)
        except (self._client.exceptions.ExecutionDoesNotExist, self._client.exceptions.InvalidArn):
            raise UnknownRun(f"There is no run {arn.rpartition(':')[2]}.") from None
        return Run(
            arn=arn,
            status=found["status"],
            started_at=found["startDate"],
            ended_at=found.get("stopDate"),
            input=_object(found.get("input")),
            output=_object(found.get("output")),
            error=found.get("error", ""),
            cause=found.get("cause", ""),
        )

    def goes_on(self, arn: str) -> bool:
        """Answer whether the execution still runs; one that is forgotten, after 90 days, does not."""
        try:
            return self.get(arn).running
        except UnknownRun:
            return False

    def running(self, machine: str) -> Iterator[Run]:
        """Yield the running executions of the machine with this ARN."""
        arguments = {"stateMachineArn": machine, "statusFilter": RUNNING}
        while True:
            page = self._client.list_executions(**arguments)
            yield from (self.get(found["executionArn"]) for found in page["executions"])
            if not page.get("nextToken"):
                return
            arguments["nextToken"] = page["nextToken"]

    def look(self, arn: str) -> Look:
        """Return a repeatable look at the execution and at the one nested in it."""
        history = History(self._client, arn)
        children: dict[str, History] = {}

        def steps() -> list[Step]:
            parent = history.steps()
            if history.child is None:
                return parent
            child = children.setdefault(history.child, History(self._client, history.child))
            return merged(parent, child.steps())

        return Look(run=lambda: self.get(arn), steps=steps)


@dataclass(frozen=True)
class Look:
    """
    What watching needs of one execution; each call looks again.

    Of a restore, *lasting* is what takes long just now, and *plan* what it is going to do.
    """

    run: Callable[[], Run]
    steps: Callable[[], list[Step]]
    lasting: Callable[[], Sequence[Progress]] = tuple
    plan: Callable[[], Sequence[str]] = tuple


def _object(text: str | None) -> dict[str, Any]:
    """Return a JSON object; anything else is none."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
