"""The parts of Neon's answers that Holdfast reads; whatever else they hold is passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Branch(_Answer):
    """A branch; *logical_size* in bytes."""

    id: str
    name: str
    current_state: str
    created_at: datetime
    default: bool
    protected: bool
    parent_id: str | None = None
    parent_timestamp: datetime | None = None
    expires_at: datetime | None = None
    logical_size: int | None = None
    restored_from: str | None = None


class Endpoint(_Answer):
    """A compute."""

    id: str
    branch_id: str
    current_state: str
    type: str


class Snapshot(_Answer):
    """A snapshot; *timestamp* is that of its data."""

    id: str
    name: str
    created_at: datetime
    source_branch_id: str | None = None
    timestamp: datetime | None = None
    expires_at: datetime | None = None
    manual: bool = True
    full_size: int | None = None


class Operation(_Answer):
    """One step of a change."""

    id: str
    action: str
    status: Literal["scheduling", "running", "finished", "failed", "error", "cancelling", "cancelled", "skipped"]
    updated_at: datetime
    error: str | None = None
    branch_id: str | None = None
    endpoint_id: str | None = None


class Owner(_Answer):
    """Who pays for a project."""

    subscription_type: str = ""


class ProjectFacts(_Answer):
    """The project's settings that recovery depends on; its *owner* is told to some keys only."""

    id: str
    history_retention_seconds: int = Field(ge=0)
    pg_version: int
    store_passwords: bool = True
    created_at: datetime
    owner: Owner | None = None


class Scheduled(_Answer):
    """One line of a branch's backup schedule; *hour* in UTC."""

    frequency: str
    hour: int | None = None
    day: int | None = None
    month: int | None = None
    retention_seconds: int | None = None
