"""Messages of the `prune` state machine, what it decided, and the receipts that it leaves."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from holdfast.contracts.message import Contract
from holdfast.model.points import Mechanism, PointState, Tier


class PruneRequest(Contract):
    """
    Let the points of a database expire whose time is over; with *dry_run* only say which and why.

    *execution* and *run* (its name) are added by the machine.
    """

    database: str
    dry_run: bool = False
    scheduled_at: str | None = None
    execution: str
    run: str


class Outcome(StrEnum):
    """
    What became of a point.

    `due` is to be carried out yet, or would be in a dry run; `locked` ones are due, and something protects their data
    for now; a `lost` one has failed, since its provider does not have it any more.
    """

    KEPT = "kept"
    DUE = "due"
    REMOVED = "removed"
    LOCKED = "locked"
    LOST = "lost"


class Judged(Contract):
    """One point, what was decided and *why*, in a sentence; *note* says what stood in the way, or was found."""

    point_id: str
    tier: Tier
    mechanism: Mechanism
    state: PointState
    taken_at: datetime
    outcome: Outcome
    why: str
    note: str = ""


class Decisions(Contract):
    """All decisions of a run, the newest point first; *finished* when each has been carried out."""

    judged: tuple[Judged, ...]
    finished: bool = False


class Pruned(Contract):
    """What a run has done so far: how many points of each outcome; the machine goes on until *finished*."""

    database: str
    run: str
    dry_run: bool
    finished: bool
    counts: dict[Outcome, int]


class RemovedVersion(Contract):
    """One version, or delete marker, of an object, and the *place* (archive or replica) that it was removed of."""

    place: str
    key: str
    version_id: str
    modified_at: datetime
    size: int
    marker: bool


class Deletion(Contract):
    """
    What a run removes of one point: written before the first of it goes, and again with *ended_at* when all is gone.

    *why* is the decision's sentence, *execution* who carried it out. *snapshot* and *copy* are the provider's, the
    copy's in the second region.
    """

    database: str
    point_id: str
    tier: Tier
    mechanism: Mechanism
    taken_at: datetime
    why: str
    execution: str
    begun_at: datetime
    ended_at: datetime | None = None
    versions: tuple[RemovedVersion, ...] = ()
    snapshot: str = ""
    copy_region: str = ""
    copy_id: str = ""
