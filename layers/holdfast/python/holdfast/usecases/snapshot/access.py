"""Get at the snapshot that a holder keeps, also while one holder hands it to the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

from holdfast.contracts.backup import DumpRequest, PointRequest
from holdfast.errors import (
    AuthenticationFailed,
    BackupYielded,
    DatabaseBusy,
    HoldfastError,
    SchemaChanged,
    SnapshotLost,
    SnapshotNotReady,
    Transient,
)
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.ports.catalogue import Hold, Holds, Points
from holdfast.usecases.snapshot.protected import Protected

Result = TypeVar("Result")

TRIES = 42
FIRST_PAUSE_SECONDS = 0.1
"""A holder begins beside the planner and publishes within tenths of a second: pauses grow from here."""
PAUSE_SECONDS = 1.5


class SnapshotAccess:
    """Where a point's snapshot is exported at the moment; retries for about a minute while it changes hands."""

    def __init__(
        self,
        point_id: str,
        *,
        points: Points,
        holds: Holds,
        sleep: Callable[[float], None],
        tries: int = TRIES,
        attempt: int = 1,
        renewed: bool = False,
    ) -> None:
        """Take the snapshot of this *attempt*; *renewed* says that another follows when the schema changes."""
        self._renewed = renewed
        self._point_id, self._points, self._holds, self._attempt = point_id, points, holds, attempt
        self._sleep, self._tries = sleep, tries

    @classmethod
    def of(cls, request: PointRequest | DumpRequest, protected: Protected, *, points: Points, holds: Holds) -> Self:
        """Return the access of the attempt that *request* belongs to."""
        renewed = protected.is_renewed(request.attempt)
        return cls(
            request.point_id, points=points, holds=holds, sleep=time.sleep, attempt=request.attempt, renewed=renewed
        )

    def using(self, work: Callable[[Hold], Result]) -> Result:
        """
        Return what *work* makes of the current hold.

        When *work* raises `SnapshotNotReady` (that holder has just let go), the current one is looked up
        again. Raises `SnapshotLost` when the point is not being captured any more, `BackupYielded` when this
        attempt gave way, and `SnapshotNotReady` when the minute is over. Work's `SchemaChanged` ends the attempt.
        """
        last: SnapshotNotReady | None = None
        for attempt in range(self._tries):
            if attempt:
                self._sleep(min(PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)))
            hold = self._current()
            if hold is None:
                continue
            try:
                with let_in_before():
                    return work(hold)
            except SnapshotNotReady as error:
                last = error
            except SchemaChanged as error:
                raise outdated(error, self._points, self._point_id, self._attempt, renewed=self._renewed) from error
        raise SnapshotNotReady(f"No snapshot is held for {self._point_id}.", point=self._point_id) from last

    def _current(self) -> Hold | None:
        refuse_over(self._points.get(self._point_id), self._attempt)
        return self._holds.current(self._point_id)


@contextmanager
def let_in_before() -> Iterator[None]:
    """
    Raise `DatabaseBusy` where a backup that has begun is refused its password: somebody changes that just now.

    A rotation changes the password at the server a little before it does in the secret, which each invocation reads
    anew.
    """
    try:
        yield
    except AuthenticationFailed as error:
        raise DatabaseBusy(
            f"{error.message.rstrip('.')}, which it accepted when the backup began.",
            hint="Holdfast reads the secret anew and tries again by itself; if it persists, correct the secret.",
        ) from error


def refuse_over(point: RecoveryPoint, attempt: int) -> None:
    """Raise `SnapshotLost` when *point* is not being captured any more, `BackupYielded` when this attempt gave way."""
    if point.state is not PointState.CAPTURING:
        raise SnapshotLost(f"The point {point.id} is {point.state}: its backup is over.", point=point.id)
    if point.yields >= attempt:
        raise BackupYielded(point.yielded_to, point=point.id)


def outdated(error: SchemaChanged, points: Points, point_id: str, attempt: int, *, renewed: bool) -> HoldfastError:
    """
    Record that this attempt is over, if it is to be *renewed*, and return what ends it.

    A later snapshot may meet a schema that stands still, and finds the chunks that are stored. So the attempt gives
    way, as to somebody who waits; the last one, or one that the catalogue cannot record as over, ends with *error*.
    """
    try:
        if renewed and points.give_way(point_id, attempt, error.message):
            return BackupYielded(error.message, hint=error.hint, point=point_id)
    except Transient:
        pass
    return error
