"""Messages of the `backup` state machine."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from holdfast.contracts.message import Contract
from holdfast.contracts.work import Items
from holdfast.model.keys import backup_run
from holdfast.model.points import Kind, Tier


class BackupRequest(Contract):
    """
    What starts a backup: a schedule's input, the command's or a person's in the console.

    With *keep_days* the point is kept so long instead of its tier's time; *protect* keeps it, for the *reason*, until
    somebody takes that back. *execution* and *execution_started_at* are added by the first state from its own context.
    """

    database: str = Field(min_length=1, max_length=64)
    tier: Tier = Tier.MANUAL
    kind: Kind = Kind.FULL
    reason: str = Field(default="", max_length=256)
    keep_days: int | None = Field(default=None, ge=1, le=36_500)
    protect: bool = False
    scheduled_at: str | None = None
    execution: str
    execution_started_at: datetime

    @model_validator(mode="after")
    def _reason_to_protect(self) -> Self:
        if self.protect and not self.reason.strip():
            raise ValueError("protect needs a reason")
        return self


class Started(Contract):
    """
    A point exists in state `capturing`, and the database's lock is ours.

    *concurrency* workers may copy at once; *workers_why* says what that number came from. *attempt* is one more than
    how often its backup gave way; should it do so again, the next begins after *pause_seconds*, or never when that
    is 0. With *freeze* a copy has to be frozen before the backup can go on; *may_freeze* says that the provider could
    freeze one, and has not yet. *taken* says that another delivery of the same schedule makes or has made the point, so
    that this one is over.
    """

    database: str
    point_id: str
    tier: Tier
    concurrency: int = Field(ge=1, le=1000)
    workers_why: str = ""
    attempt: int = Field(default=1, ge=1)
    pause_seconds: int = Field(default=0, ge=0)
    freeze: bool = False
    may_freeze: bool = False
    taken: bool = False


class HoldRequest(Contract):
    """Open (generation 1) or take over (later ones) the snapshot; answer *task_token* when the next is due."""

    database: str
    point_id: str
    attempt: int = Field(default=1, ge=1)
    generation: int = Field(ge=1)
    task_token: str


class HoldAnswer(Contract):
    """The holder's answer: *released* when the backup is over, else its successor must start."""

    released: bool
    generation: int


class PointRequest(Contract):
    """Something to do with one point as a whole (plan, seal), in one *attempt* to capture it."""

    database: str
    point_id: str
    attempt: int = Field(default=1, ge=1)

    @property
    def run(self) -> str:
        """Return where the attempt's plan and progress lie."""
        return backup_run(self.point_id, self.attempt)


class PlanRequest(PointRequest):
    """Plan a backup that *concurrency* workers will copy."""

    concurrency: int = Field(ge=1, le=1000)


class DumpRequest(Contract):
    """One batch to copy of the plan with the id *plan*."""

    database: str
    point_id: str
    attempt: int = Field(default=1, ge=1)
    plan: str = Field(min_length=1)
    batch: int = Field(ge=0)

    @property
    def run(self) -> str:
        """Return where the attempt's plan and progress lie."""
        return backup_run(self.point_id, self.attempt)


class Planned(Contract):
    """The plan is written; the Map reads *items*."""

    database: str
    point_id: str
    items: Items


class Sealed(Contract):
    """The point is `captured`: its manifest is complete, signed and written."""

    database: str
    point_id: str
    tables: int
    rows: int
    chunks: int
    bytes_plain: int
    bytes_stored: int
    bytes_new: int


class FailRequest(Contract):
    """Mark the point of *execution* as failed and release what it holds; *error* and *cause* come from the machine."""

    database: str
    execution: str
    point_id: str | None = None
    error: str = ""
    cause: str = ""


class Failed(Contract):
    """What was marked; *point_id* is absent when the run failed before it had one."""

    database: str
    point_id: str | None = None
    reason: str
