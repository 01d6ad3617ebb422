"""End a capture that failed: say why."""

from __future__ import annotations

from holdfast.configuration import Database
from holdfast.contracts.capture import Abandoned, AbandonRequest
from holdfast.model.points import PointState
from holdfast.ports.catalogue import Points
from holdfast.usecases.capture.capture import point_of
from holdfast.usecases.snapshot.fail import reason_of


def abandon_capture(request: AbandonRequest, *, database: Database, points: Points) -> Abandoned:
    """
    Move the point of the request to `failed`, and create it for that where there is none yet.

    May be repeated. A point that is intact stays so: what failed after it does not take it back. One that another
    delivery of the same schedule makes is left to that.
    """
    point = points.add(point_of(request, database))
    reason = reason_of(request.error, request.cause)
    if point.state in {PointState.CAPTURING, PointState.CAPTURED} and point.execution == request.execution:
        points.advance(point.id, PointState.FAILED, failure=reason)
    return Abandoned(database=request.database, point_id=point.id, reason=reason)
