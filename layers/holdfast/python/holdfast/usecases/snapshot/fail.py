"""End a backup that failed: say why, and release what it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.contracts.backup import Failed, FailRequest
from holdfast.errors import HoldfastError
from holdfast.model.points import PointState
from holdfast.ports.catalogue import Holds, Points
from holdfast.usecases.snapshot.watching import end_orphans

MOST_CHARACTERS = 600
_SENTENCES = {
    "States.Timeout": "A step did not answer in time.",
    "States.HeartbeatTimeout": "The holder of the snapshot fell silent.",
    "States.Aborted": "The execution was stopped.",
    "Sandbox.Timedout": "A function reached its time limit, each time it was tried.",
    "Runtime.OutOfMemory": "A function ran out of memory, each time it was tried.",
    "Runtime.ExitError": "A function was killed or ended by itself, each time it was tried.",
}


def fail_backup(
    request: FailRequest, *, parameters: Callable[[str], ConnectionParameters], points: Points, holds: Holds
) -> Failed:
    """
    Move the point of the execution to `failed`, forget its hold and release the database's lock.

    May be repeated. A point that is `captured` already is complete: what failed after it (its
    verification) can be done again, so it stays as it is. What still works for one that failed is ended, as far
    as the server can be reached by *parameters*.
    """
    reason = reason_of(request.error, request.cause)
    point_id = request.point_id or _point_of(request, points)
    if point_id is not None:
        if points.get(point_id).state in {PointState.CAPTURING, PointState.FAILED}:
            points.advance(point_id, PointState.FAILED, failure=reason)
        holds.end(point_id)
    points.release(request.database, request.execution)
    if point_id is not None:
        with suppress(HoldfastError):
            end_orphans(parameters(point_id), point_id)
    return Failed(database=request.database, point_id=point_id, reason=reason)


def reason_of(error: str, cause: str) -> str:
    """
    Return the error as one sentence.

    A function's cause is JSON with `errorMessage`; stack traces and the rest of it are nobody's concern here.
    """
    if error in _SENTENCES:
        return _SENTENCES[error]
    try:
        told = json.loads(cause)
    except ValueError:
        told = cause
    message = str(told.get("errorMessage", "")) if isinstance(told, dict) else str(told)
    return (message.strip() or error or "The backup failed without a reason.")[:MOST_CHARACTERS]


def _point_of(request: FailRequest, points: Points) -> str | None:
    """Return the point of this execution, which holds the database's lock from its beginning."""
    holder = points.lock_holder(request.database)
    return holder[0] if holder and holder[1] == request.execution else None
