"""Begin a backup: judge the source, take the database's lock and create the point."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace

from holdfast.adapters.postgres import checks
from holdfast.adapters.postgres.connect import connect
from holdfast.adapters.postgres.refusals import refuse_unspeakable
from holdfast.contracts.backup import BackupRequest, Started
from holdfast.errors import BackupAlreadyRunning, UnknownPoint
from holdfast.model.budget import Share
from holdfast.model.points import PointState, RecoveryPoint, point_id
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Holds, Points
from holdfast.ports.executions import Executions
from holdfast.usecases.snapshot.protected import Protected

SETTINGS = {"statement_timeout": "60s", "lock_timeout": "10s"}


def start_backup(
    request: BackupRequest, *, protected: Protected, points: Points, holds: Holds, executions: Executions
) -> Started:
    """
    Create the point in state `capturing`, once the source is known to be fit for it.

    May be repeated: the point's id follows from the execution. Raises one of `SourceRefused`,
    `DatabaseUnreachable` or `BackupAlreadyRunning`, and nothing is left behind then.
    """
    point = _point(request)
    found = judge_source(protected, application_name=session_name("start", point.id))
    point = replace(point, workers=found.workers, workers_why=f"{found.sentence} {found.warning}".strip())
    try:
        points.begin(point)
    except BackupAlreadyRunning as running:
        if not _take_over(running, point, points=points, holds=holds, executions=executions):
            raise
        points.begin(point)
    return Started(
        database=point.database,
        point_id=point.id,
        tier=point.tier,
        concurrency=found.workers,
        workers_why=point.workers_why,
    )


def judge_source(protected: Protected, *, application_name: str) -> Share:
    """
    Connect and raise what stands in the way of a backup, the cheapest checks first.

    Returns how many workers may copy at once.
    """
    parameters = protected.parameters
    checks.refuse_pooled_host(parameters)
    major = int(checks.client_version().split(".", maxsplit=1)[0])
    with connect(parameters, application_name=application_name, **SETTINGS) as session:
        checks.refuse_pooler(session, parameters)
        checks.refuse_server(session, client_major=major)
        checks.refuse_unreadable(session)
        refuse_unspeakable(session)
        found = checks.share_of_connections(session, wanted=protected.concurrency)
        checks.refuse_without_room_for_locks(session, workers=found.workers)
        return found


def _point(request: BackupRequest) -> RecoveryPoint:
    entropy = hashlib.sha256(request.execution.encode()).hexdigest()
    return RecoveryPoint(
        id=point_id(request.database, request.execution_started_at, entropy),
        database=request.database,
        tier=request.tier,
        kind=request.kind,
        state=PointState.CAPTURING,
        started_at=request.execution_started_at,
        taken_at=request.execution_started_at,
        execution=request.execution,
        reason=request.reason,
    )


def _take_over(
    running: BackupAlreadyRunning, point: RecoveryPoint, *, points: Points, holds: Holds, executions: Executions
) -> bool:
    """
    Fail the point of a run that ended without releasing its lock, and release it; False when the run still lives.

    Such a run was stopped or timed out. Two runs may meet here: `begin` then lets only one of them pass.
    """
    other, execution = str(running.ids["point"]), str(running.ids["execution"])
    if execution != point.execution and executions.running(execution):
        return False
    with suppress(UnknownPoint):  # a lock must not outlive a point that is gone from the catalogue
        if points.get(other).state is PointState.CAPTURING:
            points.advance(other, PointState.FAILED, failure="Its execution ended before the backup did.")
    holds.end(other)
    points.release(point.database, execution)
    return True
