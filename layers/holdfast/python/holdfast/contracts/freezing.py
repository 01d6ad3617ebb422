"""Messages about the frozen copy that an archive is taken of, and about sweeping what such copies left behind."""

from __future__ import annotations

from pydantic import Field

from holdfast.contracts.message import Contract


class FreezeRequest(Contract):
    """Freeze a copy for the point that is being captured, or look how far it is."""

    database: str
    point_id: str


class Frozen(Contract):
    """How far the copy is: *ready* to be backed up, or to be asked for again after *wait_seconds*."""

    database: str
    point_id: str
    ready: bool
    wait_seconds: int = Field(default=0, ge=0)
    sentence: str = ""


class ThawRequest(Contract):
    """Remove the copy of a point, and the secret with its login."""

    database: str
    point_id: str


class Thawed(Contract):
    """The copies that the provider was asked to remove; none when they were gone already."""

    database: str
    point_id: str
    removed: tuple[str, ...]


class SweepRequest(Contract):
    """Remove the copies and logins that no running backup needs."""

    scheduled_at: str | None = None


class Swept(Contract):
    """What was removed, by name, and of which databases nothing could be looked at, with the reason."""

    copies: tuple[str, ...]
    secrets: tuple[str, ...]
    failed: tuple[str, ...] = ()
