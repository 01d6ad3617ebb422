"""The catalogue: which recovery points and runs exist, and in which state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from holdfast.model.points import PointState, RecoveryPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """
    The exported snapshot of a running backup.

    *snapshot* is PostgreSQL's identifier, usable while its generation's holder lives, on the *server* that it lives on;
    *pinged_at* is renewed every few seconds by the holder.
    """

    point_id: str
    database: str
    snapshot: str
    generation: int
    taken_at: datetime
    lsn: str
    opened_at: datetime
    pinged_at: datetime
    backend_pid: int = 0
    tables: int = 0
    server: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRun:
    """One restore, as the catalogue knows it; *state* is running, succeeded or failed."""

    id: str
    database: str
    point_id: str
    into: str
    target: str
    state: str
    started_at: datetime
    execution: str
    ended_at: datetime | None = None
    sentence: str = ""


class Points(Protocol):
    """
    Recovery points and the one lock per database.

    Reads are strongly consistent. Every method may be repeated with the same arguments.
    """

    def begin(self, point: RecoveryPoint) -> None:
        """
        Create *point* in state `capturing` and take the database's lock for its execution, or neither.

        Raises `BackupAlreadyRunning` with the other run's `point` and `execution` in `ids`, or `CollectionRunning`
        with its `execution`.
        """

    def add(self, point: RecoveryPoint) -> RecoveryPoint:
        """
        Create *point* without taking the database's lock: what a provider keeps needs none of our sessions.

        May be repeated: a point that is there already is left alone. Returns the point as it is now.
        """

    def reserve(self, database: str, execution: str, now: datetime) -> None:
        """
        Take the database's lock for a collection, which makes no point.

        Raises what `begin` raises. May be repeated.
        """

    def get(self, point_id: str) -> RecoveryPoint:
        """Return the point; raises `UnknownPoint`."""

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RecoveryPoint]:
        """Return the database's points, newest first; an unknown database has none."""

    def advance(self, point_id: str, state: PointState, **facts: object) -> RecoveryPoint:
        """
        Move the point to *state* and store *facts* (fields of `RecoveryPoint`), unless it is there already.

        Raises `UnknownPoint`, and `UnexpectedState` for a transition that the model does not know.
        """

    def note(self, point_id: str, **facts: object) -> RecoveryPoint:
        """Store *facts* (fields of `RecoveryPoint`) in whatever state the point is; raises `UnknownPoint`."""

    def protect(self, point_id: str, reason: str, *, legal_hold: bool = False) -> RecoveryPoint:
        """
        Keep the point, whatever its age, for *reason*; "" takes that back.

        Raises `UnknownPoint`, and `PointNotRestorable` for one that nobody can keep any more. Where it meets the
        point's expiry, one of the two comes first, and the other is refused.
        """

    def forget(self, point_id: str) -> None:
        """Remove a point that has expired from the catalogue; any other is left alone."""

    def give_way(self, point_id: str, attempt: int, to: str) -> bool:
        """
        Record that this attempt of a point that is being captured gave way; answer whether it did.

        False when the attempt is being sealed, which needs no lock any more, or is over. An attempt ends in one way
        only, whoever asks first.
        """

    def begin_sealing(self, point_id: str, attempt: int) -> bool:
        """Record that everything of this attempt is captured; False when it gave way before, or the point is over."""

    def release(self, database: str, execution: str) -> None:
        """Give the database's lock back if *execution* holds it; otherwise do nothing."""

    def lock_holder(self, database: str) -> tuple[str, str] | None:
        """Return (point id, execution) of the run that holds the database's lock; a collection has no point ("")."""


class Holds(Protocol):
    """The published snapshot of each running backup. Every method may be repeated."""

    def publish(self, hold: Hold) -> bool:
        """
        Make *hold* the current one of its point and answer whether it is.

        An older generation never replaces a newer one, nor a second holder of a generation the first: two
        snapshots of one point would mix two moments in it.
        """

    def current(self, point_id: str) -> Hold | None:
        """Return the current hold of the point (strongly consistent)."""

    def ping(self, point_id: str, generation: int, now: datetime) -> None:
        """Record that the holder of this generation lives; a newer generation is left alone."""

    def end(self, point_id: str) -> None:
        """Forget the hold: nobody keeps a snapshot for this point any more."""

    def open(self, database: str) -> Sequence[Hold]:
        """Return the holds of the database that have not ended."""


class Restores(Protocol):
    """The restores of each database."""

    def refuse_taken(self, run: RestoreRun) -> None:
        """Raise `RestoreAlreadyRunning` when another run has the lock of *run*'s target; take and record nothing."""

    def begin(self, run: RestoreRun) -> None:
        """
        Record a running restore and take the lock of its target (*target* and *into*), or neither.

        Raises `RestoreAlreadyRunning`. May be repeated with the same run.
        """

    def end(self, restore_id: str, *, state: str, sentence: str, ended_at: datetime) -> None:
        """Record the end and give the target's lock back. May be repeated."""

    def get(self, restore_id: str) -> RestoreRun | None:
        """Return the run, or nothing."""

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RestoreRun]:
        """Return the database's restores, newest first."""
