"""
What Holdfast asks of whoever runs a database: its own history, snapshots and copies.

Every change may be asked for again: names are ours and say what a thing is for, and a thing that is there
already is returned as it is. Nothing waits: things are asked for in one call and looked at in later ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Progress(StrEnum):
    """How far the provider is with a thing that it was asked for."""

    CREATING = "creating"
    AVAILABLE = "available"
    FAILED = "failed"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Window:
    """The moments that the provider's point-in-time recovery reaches, both included."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSnapshot:
    """
    A snapshot of the provider's own.

    *source* is the id of what it was taken of, *taken_at* the moment of its data (absent while it is being
    made), *size* in bytes where the provider tells it. *manual* ones are removed by us, others by the provider.
    """

    id: str
    name: str
    progress: Progress
    source: str
    created_at: datetime
    taken_at: datetime | None = None
    expires_at: datetime | None = None
    encrypted: bool = False
    manual: bool = True
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """
    A copy of the database that runs beside it: frozen for a backup, or restored.

    *moment* is that of its data, as far as the provider tells it.
    """

    id: str
    name: str
    progress: Progress
    created_at: datetime
    moment: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """
    Where a copy answers, and who may enter.

    Without *user* and *password* they are those of the source, as of the moment of the copy's data.
    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)


class Provider(Protocol):
    """
    One protected database at its provider.

    Raises `ProviderBusy` and `ProviderUnreachable`, which pass, and `ProviderRefused` or one of its leaves,
    which do not.
    """

    def source(self) -> str:
        """Return the id of what is protected: an instance, cluster or branch that exists."""

    def window(self) -> Window | None:
        """Return the reach of point-in-time recovery, or nothing when it is switched off."""

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the snapshots of the source, manual ones and the provider's, in any order."""

    def create_snapshot(self, name: str, *, keep_until: datetime | None = None) -> ProviderSnapshot:
        """Ask for a manual snapshot of now; *keep_until* lets a provider that can remove it by itself."""

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a manual snapshot; False when it is gone already."""

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> Copy:
        """Ask for a running copy of now, of the moment *at*, or of a snapshot."""

    def copies(self) -> tuple[Copy, ...]:
        """Return the copies that we made of the source and that are still there, ready or not."""

    def login(self, copy_id: str) -> Login:
        """Return how to connect to a copy that is available, never through a pooler."""

    def delete_copy(self, copy_id: str) -> bool:
        """Delete a copy that we made; False when it is gone already, `ProviderRefused` when it is not ours."""
