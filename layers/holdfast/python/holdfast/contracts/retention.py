"""Messages of the `collect` state machine, and what a collection writes down."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from holdfast.contracts.message import Contract


class CollectRequest(Contract):
    """
    Remove the chunks of a database that no recovery point pins; with *dry_run* only count them.

    *execution* and *run* (its name) are added by the machine.
    """

    database: str
    dry_run: bool = False
    scheduled_at: str | None = None
    execution: str
    run: str


class Amount(Contract):
    """How many versions of chunks, and their bytes as stored."""

    versions: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(versions=self.versions + other.versions, bytes=self.bytes + other.bytes)


class Collected(Contract):
    """
    What a collection has found and done so far; the machine goes on until *finished*.

    *pinned*: listed by the manifest of some point. *young*: pinned by none, and too new to be judged. *garbage*:
    pinned by none. *removed* of it; *locked* until *locked_until* at the latest, the rest of it.
    """

    database: str
    run: str
    dry_run: bool
    finished: bool = False
    manifests: int = 0
    pinned: Amount = Amount()
    young: Amount = Amount()
    garbage: Amount = Amount()
    removed: Amount = Amount()
    locked: Amount = Amount()
    locked_until: datetime | None = None


class Phase(StrEnum):
    """What a collection does next: read manifests, list chunks, remove garbage; then it is over."""

    MARKING = "marking"
    LISTING = "listing"
    REMOVING = "removing"
    OVER = "over"


class ManifestVersion(Contract):
    """One version of a manifest; *whole*: everything that it pins must still be there."""

    key: str
    version_id: str
    sha256: str = ""
    whole: bool = False


class GarbageVersion(Contract):
    """One version, or delete marker, that is to be removed."""

    key: str
    version_id: str
    modified_at: datetime
    size: int
    marker: bool


class GarbageBatch(Contract):
    """What one page of the list yielded."""

    versions: tuple[GarbageVersion, ...]


class Progress(Contract):
    """
    How far a collection has come: all that its next step needs to know.

    *found*: how many versions that must be there have been listed. *after*: the last key that was judged.
    *marks*: how many marks each file of them had when this was written.
    """

    phase: Phase
    manifests: tuple[ManifestVersion, ...]
    marks: dict[str, int]
    marked: int = 0
    after: str = ""
    found: int = 0
    batches: int = 0
    done: int = 0
    so_far: Collected
