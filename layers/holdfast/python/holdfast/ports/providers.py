"""
What Holdfast asks of whoever runs a database: its own history, snapshots and copies.

Every change may be asked for again: names are ours and say what a thing is for, and a thing that is there
already is returned as it is. Nothing waits: things are asked for in one call and looked at in later ones.
What a provider cannot do at all stands in its `Capabilities`; asked for nevertheless, it is `ProviderRefused`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from holdfast.model.provider_settings import Setting


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
class Capabilities:
    """
    What a provider can do beyond snapshots and copies.

    *second_region*: snapshots are copied to another region; *sharing*: with another account; *in_place*: the
    database itself is put back to a moment, its address unchanged.
    """

    second_region: bool = False
    sharing: bool = False
    in_place: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many of *limit* things, named in the plural by *what*, are there already."""

    what: str
    used: int
    limit: int

    @property
    def left(self) -> int:
        """Return how many more there may be."""
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSnapshot:
    """
    A snapshot of the provider's own.

    *source* is the id of what it was taken of, *taken_at* the moment of its data (absent while it is being
    made), *size* in bytes where the provider tells it. *manual* ones are removed by us, others by the provider.
    *copied_from* is, for one in the second region, the id of the snapshot that it is a copy of.
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
    copied_from: str = ""


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


class Snapshots(Protocol):
    """The history and the snapshots of one protected database."""

    def source(self) -> str:
        """Return the id of what is protected: an instance, cluster or branch that exists."""

    def window(self) -> Window | None:
        """Return the reach of point-in-time recovery, or nothing when it is switched off."""

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the snapshots of the source, manual ones and the provider's, in any order."""

    def create_snapshot(self, name: str, *, keep_until: datetime | None = None) -> ProviderSnapshot:
        """
        Ask for a manual snapshot of now; *keep_until* lets a provider that can remove it by itself.

        Raises `ProviderQuota` when there may be no more.
        """

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a manual snapshot; False when it is gone already."""

    def quota(self) -> Quota:
        """Return how many manual snapshots there are and may be, those of other databases counted too."""


class SecondRegion(Protocol):
    """Copies of snapshots where a lost region or a stolen account does not reach them."""

    def copy_snapshot(self, snapshot_id: str) -> ProviderSnapshot:
        """
        Ask for a copy in the second region, with its key and the snapshot's tags.

        Raises `ProviderBusy` while there are as many copies under way as the provider takes.
        """

    def second_region_snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the copies that we made there, ready or not; none where there is no second region."""

    def delete_second_region_snapshot(self, snapshot_id: str) -> bool:
        """Delete a copy that we made there; False when it is gone already."""

    def share_snapshot(self, snapshot_id: str, accounts: Sequence[str]) -> None:
        """Let other accounts, named one by one, copy a manual snapshot."""


class Copies(Protocol):
    """Copies of the database that run beside it, and the database put back in its place."""

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,
        lasting: bool = False,
    ) -> Copy:
        """
        Ask for a running copy of now, of the moment *at*, or of a snapshot, with the source's network and settings.

        A *lasting* one is to take the source's place: it has its protection, zones and backups too, is never among
        `copies` nor deleted by us. Asking again tells how far it is.
        """

    def copies(self) -> tuple[Copy, ...]:
        """Return the copies that we made of the source, but for lasting ones, and that are still there."""

    def login(self, copy_id: str) -> Login:
        """Return how to connect to a copy that is available, never through a pooler."""

    def delete_copy(self, copy_id: str) -> bool:
        """Delete a copy that we made; False when it is gone already, `ProviderRefused` when it is not ours."""

    def restore_in_place(self, at: datetime, *, keep_as: str, protect: bool) -> Progress:
        """
        Put the source itself back to *at*; what it holds now stays under the name *keep_as*, which is new for each.

        To be asked again until it says available or failed. *protect* is whether the source was protected before the
        first call (a fact of `settings`): it is taken off for the restore and is back before this says either.
        """


class Administration(Protocol):
    """How the provider is set up to keep the database."""

    capabilities: Capabilities

    def settings(self) -> tuple[Setting, ...]:
        """Return the settings that recovery depends on, as they are."""

    def apply(self, changes: Sequence[Setting]) -> None:
        """Set what a person confirmed; settings that the provider does not have are `BadRequest`."""

    def description(self) -> Mapping[str, Any]:
        """Return, as JSON, what it takes to build the same again; never a secret nor an address to log in with."""


class Provider(Snapshots, SecondRegion, Copies, Administration, Protocol):
    """
    One protected database at its provider.

    Raises `ProviderBusy` and `ProviderUnreachable`, which pass, and `ProviderRefused` or one of its leaves,
    which do not.
    """
