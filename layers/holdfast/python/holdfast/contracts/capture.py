"""Messages of the `capture` state machine: points of the provider's own history and snapshots."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import Field

from holdfast.contracts.message import Contract
from holdfast.model.points import Kind, Tier


class CaptureRequest(Contract):
    """
    What starts a capture: a schedule's input, the command's or a person's in the console.

    *execution* and *execution_started_at* are added by the machine from its own context. What is *scheduled_at* one
    moment is one point, however often the schedule delivers it. A provider keeps everything, so *kind* is always
    `full`.
    """

    database: str = Field(min_length=1, max_length=64)
    tier: Tier
    kind: Kind = Kind.FULL
    reason: str = Field(default="", max_length=256)
    scheduled_at: str | None = None
    execution: str
    execution_started_at: datetime

    @property
    def due(self) -> datetime:
        """Return the moment that the point is of: the schedule's, or when the execution started."""
        if self.scheduled_at is None:
            return self.execution_started_at
        moment = datetime.fromisoformat(self.scheduled_at)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Captured(Contract):
    """
    How far a capture is: *done*, or to be asked again after *wait_seconds*.

    *first* says that the point became intact just now; *elsewhere* that another delivery of the same schedule
    makes it. *sentence* says what there is, or what is waited for.
    """

    database: str
    point_id: str
    done: bool
    wait_seconds: int = Field(default=0, ge=0)
    first: bool = False
    elsewhere: bool = False
    sentence: str = ""


class AbandonRequest(CaptureRequest):
    """Mark the point of a capture as failed; *error* and *cause* come from the machine."""

    error: str = ""
    cause: str = ""


class Abandoned(Contract):
    """The point that failed, and why."""

    database: str
    point_id: str
    reason: str
