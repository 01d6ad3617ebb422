"""Recovery points: their identity, states and the transitions between them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from holdfast.errors import BadRequest, PointNotRestorable, PointProtected, UnexpectedState

DATABASE_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]|[a-z]")
_POINT_ID = re.compile(r"(?P<database>[a-z][a-z0-9-]*)-(?P<time>\d{8}t\d{6}z)-(?P<entropy>[0-9a-f]{6})")


class Tier(StrEnum):
    """How often a point of this kind is taken; `manual` ones are taken by people."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    MANUAL = "manual"


class Kind(StrEnum):
    """
    What a point holds: everything, everything but rows, or nothing but rows, sequences' values and large objects.

    Only a full one gives a database back by itself, so nothing else counts for an objective or as the latest.
    """

    FULL = "full"
    SCHEMA = "schema"
    DATA = "data"


class Mechanism(StrEnum):
    """
    How a point keeps its data: in our archive, as the provider's snapshot, or in the provider's history.

    Only an archive has a manifest, chunks and a verification. A point of the history says that, when it was looked
    at, the provider could restore the database to the point's moment; it is gone when that moment leaves the window.
    """

    ARCHIVE = "archive"
    SNAPSHOT = "snapshot"
    HISTORY = "history"


class PointState(StrEnum):
    """How far a recovery point has come; only `intact` and `proven` ones may be restored."""

    CAPTURING = "capturing"
    CAPTURED = "captured"
    INTACT = "intact"
    PROVEN = "proven"
    FAILED = "failed"
    EXPIRED = "expired"


_NEXT = {
    PointState.CAPTURING: {PointState.CAPTURED, PointState.FAILED},
    # A damaged point fails whatever it was before; an intact one stays intact when it is checked again.
    PointState.CAPTURED: {PointState.INTACT, PointState.FAILED, PointState.EXPIRED},
    PointState.INTACT: {PointState.INTACT, PointState.PROVEN, PointState.FAILED, PointState.EXPIRED},
    PointState.PROVEN: {PointState.PROVEN, PointState.FAILED, PointState.EXPIRED},
    # Only one that was captured: a failure to read it back may have been the reader's (see `advanced`).
    PointState.FAILED: {PointState.INTACT, PointState.EXPIRED},
    PointState.EXPIRED: set(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPoint:
    """
    One thing that can be restored, as the catalogue knows it.

    Times are aware UTC datetimes. `taken_at` is the moment whose data the point holds (the snapshot's);
    before the snapshot exists it is the start of the run. Sizes are bytes: `plain` as COPY text,
    `stored` compressed, `new` those that this point added to the bucket. `workers` is how many connections copied
    at once, `workers_why` what that number came from; `selection` says in words what of the database the point
    has, where that is not everything. `yields` counts how often its backup gave way to sessions that waited behind it,
    `yielded_to` says to whom the last time; each begins a new attempt under a fresh snapshot. `sealing` is the attempt
    that is complete and is being sealed.

    `provider_id` is the id of the provider's snapshot, or of what its history is of; `adopted` ones are the provider's
    own, which nobody but the provider deletes. `second_id` is its copy in `second_region`, there since `second_at`;
    at `replicated_at` all of an archive was seen in the second region.
    A point with `keep_until` is kept until then instead of its tier's time; a `protected` one until
    somebody takes that reason back, with a `legal_hold` on all of its objects if there is one. One that has expired
    knows since when and why, and since when nothing of it is left (`removed_at`). `system` says that it
    holds the complete system: provider settings, migration state and configuration beside the database.

    `scheduled_at` is the moment of the schedule that started it, as the schedule tells it: a delivery that comes again
    knows the point by it.

    An archive may be taken of a copy that the provider froze at `copied_at`: `copy_id` is its id there, and once it can
    be connected to, `copy_secret` is the name of the secret with its login. Both are gone when the backup is over.
    """

    id: str
    database: str
    tier: Tier
    kind: str
    state: PointState
    started_at: datetime
    taken_at: datetime
    execution: str
    reason: str = ""
    selection: str = ""
    failure: str = ""
    yields: int = 0
    yielded_to: str = ""
    sealing: int = 0
    captured_at: datetime | None = None
    intact_at: datetime | None = None
    proven_at: datetime | None = None
    manifest_version: str = ""
    manifest_sha256: str = ""
    signature_version: str = ""
    verification_version: str = ""
    verification_sha256: str = ""
    server_version: int = 0
    tables: int = 0
    rows: int = 0
    bytes_plain: int = 0
    bytes_stored: int = 0
    bytes_new: int = 0
    workers: int = 0
    workers_why: str = ""
    mechanism: Mechanism = Mechanism.ARCHIVE
    provider_id: str = ""
    adopted: bool = False
    second_region: str = ""
    second_id: str = ""
    second_at: datetime | None = None
    replicated_at: datetime | None = None
    keep_until: datetime | None = None
    expired_at: datetime | None = None
    expired_why: str = ""
    removed_at: datetime | None = None
    protected: str = ""
    legal_hold: bool = False
    system: bool = False
    scheduled_at: str = ""
    copy_id: str = ""
    copied_at: datetime | None = None
    copy_secret: str = ""

    @property
    def archived(self) -> bool:
        """Whether its data lies in our archive: it has a manifest, chunks and a verification."""
        return self.mechanism is Mechanism.ARCHIVE

    @property
    def bytes_shared(self) -> int:
        """Return the stored bytes that were there already: earlier points or attempts had brought them."""
        return self.bytes_stored - self.bytes_new

    @property
    def restorable(self) -> bool:
        """Whether the point may be restored: every byte has been read back and checked."""
        return self.state in {PointState.INTACT, PointState.PROVEN}

    def serves(self, kind: str) -> bool:
        """Answer whether a restore of *kind* can be made from the point: a full one has everything."""
        return self.kind in {Kind.FULL, kind}

    @property
    def complete(self) -> bool:
        """Whether its capture came to the end; an archive has a sealed manifest then, and something to verify."""
        return self.captured_at is not None

    @property
    def damaged(self) -> bool:
        """Whether an archive was complete and failed later: what of it is whole is restored for who names it."""
        return self.archived and self.state is PointState.FAILED and self.complete

    def guarded(self, reason: str, *, legal_hold: bool = False) -> RecoveryPoint:
        """
        Return the point protected for *reason*, or, where that is "", not protected any more.

        Raises `PointNotRestorable` for what nobody can keep: what has expired, and moments of a provider's history.
        """
        if reason and self.state is PointState.EXPIRED:
            raise PointNotRestorable(f"The recovery point {self.id} has expired: {self.expired_why}", point=self.id)
        if reason and self.mechanism is Mechanism.HISTORY:
            raise PointNotRestorable(
                f"{self.id} is a moment of the provider's history, and leaves the window whoever protects it.",
                hint=f"Take a point that lasts: `holdfast backup {self.database} --protect --reason TEXT`.",
                point=self.id,
            )
        return replace(self, protected=reason, legal_hold=legal_hold)

    def advanced(self, state: PointState, **facts: object) -> RecoveryPoint:
        """
        Return the point in its next *state*, with *facts* learnt on the way.

        Raises `UnexpectedState` for a transition that does not exist, so that no late message ever
        counts an unchecked point, or brings one back whose backup failed. One that was captured may fail to
        be read back for a reason of the day; a clean verification makes it intact again.
        """
        unfinished = self.state is PointState.FAILED and state is PointState.INTACT and not self.complete
        if state not in _NEXT[self.state] or unfinished:
            raise UnexpectedState(f"Recovery point {self.id} cannot go from {self.state} to {state}.", point=self.id)
        if state is PointState.EXPIRED and self.protected:
            raise PointProtected(f"The recovery point {self.id} is protected: {self.protected}", point=self.id)
        return replace(self, state=state, **facts)  # type: ignore[arg-type]  # facts are fields by name


def newest_restorable(
    newest_first: Iterable[RecoveryPoint],
    *,
    kind: str = Kind.FULL,
    proven: bool = False,
    mechanism: Mechanism | None = Mechanism.ARCHIVE,
) -> RecoveryPoint | None:
    """
    Return the first of *newest_first* that a restore of *kind* may be made from; only *proven* ones if so asked.

    A point of the schema or of the rows alone is never the latest where everything is wanted back. Without a
    *mechanism* points of any count, as they do for the age of the backup.
    """
    states = {PointState.PROVEN} if proven else {PointState.INTACT, PointState.PROVEN}
    return next(
        (
            point
            for point in newest_first
            if point.state in states and point.serves(kind) and mechanism in {None, point.mechanism}
        ),
        None,
    )


_WITHOUT_ARCHIVE = {
    Mechanism.SNAPSHOT: "is a snapshot that its provider keeps",
    Mechanism.HISTORY: "is a moment of its provider's history",
}


def refuse_without_archive(point: RecoveryPoint) -> None:
    """Raise `PointNotRestorable` unless the data of *point* lies in our archive: nothing else can be read by us."""
    if not point.archived:
        raise PointNotRestorable(
            f"The recovery point {point.id} {_WITHOUT_ARCHIVE[point.mechanism]}: it has no archive.",
            hint=f"Take one of the mechanism archive; `holdfast points {point.database}` lists them.",
            point=point.id,
        )


def may_become(state: PointState, following: PointState) -> bool:
    """Answer whether a point in *state* may go to *following*."""
    return following in _NEXT[state]


def point_id(database: str, started_at: datetime, entropy: str) -> str:
    """
    Return the id of a point: database, UTC second, six hex digits of *entropy*.

    Ids of one database sort by time, and name their database, so that no index is needed for either.
    """
    return f"{database}-{started_at.astimezone(UTC):%Y%m%dt%H%M%Sz}-{entropy[:6]}"


def database_of(point: str) -> str:
    """Return the database that the id *point* names; `BadRequest` when it is no point's id."""
    found = _POINT_ID.fullmatch(point)
    if not found:
        raise BadRequest(
            f"{point!r} is not the id of a recovery point.",
            hint="Ids look like shop-20260131t020000z-1a2b3c; `holdfast points DB` lists them.",
        )
    return found["database"]


def refuse_foreign(database: str, point: str) -> None:
    """
    Raise `BadRequest` unless the id *point* is one of *database*.

    Whoever mixes two up would look for one database's objects under the other's prefix, and find everything missing.
    """
    if database_of(point) != database:
        raise BadRequest(f"The recovery point {point} is not one of {database}.", point=point, database=database)
