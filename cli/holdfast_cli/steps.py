"""How far an execution has come, worked out from its history, its Maps and the execution nested in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

# States that an operator does not wait for: the holders, who relay beside the work.
_BESIDE = frozenset({"Hold the snapshot"})
_SHOWN_KINDS = ("TaskStateEntered", "MapStateEntered")
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """One state that was entered; *done* of *total* items when it is a Map; *depth* 1 in a nested execution."""

    name: str
    entered_at: datetime
    left_at: datetime | None = None
    done: int | None = None
    total: int | None = None
    depth: int = 0


@dataclass
class History:
    """
    The history of one execution, read from where the last look ended.

    A holder adds events every few minutes, so a long backup has thousands: reading them again every
    second would reach the service's limits. *child* is the execution that a step started, if any.
    """

    client: Any
    execution: str
    child: str | None = None
    _steps: list[Step] = field(default_factory=list)
    _maps: dict[int, str] = field(default_factory=dict)
    _seen: int = 0

    def steps(self) -> list[Step]:
        """Look again and return every step so far, the oldest first."""
        for event in self._new_events():
            self._take(event)
        for position in list(self._maps):
            self._count_items(position)
        return list(self._steps)

    def _new_events(self) -> list[Mapping[str, Any]]:
        """Return the events after the last one seen, in order; they are read backwards until that one."""
        found: list[Mapping[str, Any]] = []
        arguments: dict[str, Any] = {"executionArn": self.execution, "reverseOrder": True, "maxResults": PAGE}
        while True:
            page = self.client.get_execution_history(**arguments)
            fresh = [event for event in page["events"] if event["id"] > self._seen]
            found += fresh
            if len(fresh) < len(page["events"]) or not page.get("nextToken"):
                break
            arguments["nextToken"] = page["nextToken"]
        found.sort(key=lambda event: event["id"])
        self._seen = found[-1]["id"] if found else self._seen
        return found

    def _take(self, event: Mapping[str, Any]) -> None:
        kind = event["type"]
        if kind in _SHOWN_KINDS:
            name = event["stateEnteredEventDetails"]["name"]
            if name not in _BESIDE:
                self._steps.append(Step(name, event["timestamp"]))
        elif kind.endswith("StateExited"):
            self._leave(event["stateExitedEventDetails"]["name"], event["timestamp"])
        elif kind == "MapRunStarted" and self._steps:
            self._maps[len(self._steps) - 1] = event["mapRunStartedEventDetails"]["mapRunArn"]
        elif kind == "TaskSubmitted":
            self.child = _started(event) or self.child

    def _leave(self, name: str, at: datetime) -> None:
        for position in reversed(range(len(self._steps))):
            if self._steps[position].name == name and self._steps[position].left_at is None:
                self._steps[position] = replace(self._steps[position], left_at=at)
                return

    def _count_items(self, position: int) -> None:
        """Fill in the items of the Map at *position*, a last time when it has been left."""
        counts = self.client.describe_map_run(mapRunArn=self._maps[position])["itemCounts"]
        step = replace(self._steps[position], done=counts["succeeded"], total=counts["total"])
        self._steps[position] = step
        if step.left_at is not None:
            del self._maps[position]


def _started(event: Mapping[str, Any]) -> str | None:
    """Return the execution that a task started, if that is what the task did."""
    try:
        output = json.loads(event["taskSubmittedEventDetails"].get("output") or "{}")
    except ValueError:
        return None
    arn = output.get("ExecutionArn") if isinstance(output, dict) else None
    return str(arn) if arn else None


def merged(parent: Sequence[Step], child: Sequence[Step]) -> list[Step]:
    """Return both executions' steps in the order in which they were entered, the child's one level deeper."""
    deeper = [replace(step, depth=1) for step in child]
    return sorted([*parent, *deeper], key=lambda step: (step.entered_at, step.depth))
