"""Begin a backup: judge the source, take the database's lock and create the point."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

from holdfast.adapters.postgres import balance, checks
from holdfast.adapters.postgres.connect import connect_to_source
from holdfast.adapters.postgres.refusals import refuse_unspeakable
from holdfast.adapters.postgres.selecting import refuse_unmatched
from holdfast.contracts.backup import BackupRequest, Started
from holdfast.errors import BackupAlreadyRunning
from holdfast.model.budget import Share
from holdfast.model.points import PointState, RecoveryPoint, point_id
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Holds, Points
from holdfast.ports.executions import Executions
from holdfast.usecases.locking import take_over
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.watching import end_orphans

LOOKED_AT = 50
"""Points among which another delivery's is looked for: a schedule gives up delivering after an hour."""
SETTINGS = {"statement_timeout": "60s", "lock_timeout": "10s"}


def start_backup(
    request: BackupRequest, *, protected: Protected, points: Points, holds: Holds, executions: Executions
) -> Started:
    """
    Create the point in state `capturing`, once the source is known to be fit for it.

    May be repeated, and is when the backup gave way and begins anew: the point's id follows from the execution, the
    attempt and the number of workers from the catalogue. Raises one of `SourceRefused`, `DatabaseUnreachable`,
    `DatabaseBusy` (no connections are free now) or `BackupAlreadyRunning`, and nothing is left behind then. Where the
    archive is to be of a frozen copy, the lock is taken first, and the copy is judged once it is there.
    """
    if taken := _of_another_delivery(request, points, executions):
        return Started(
            database=taken.database, point_id=taken.id, tier=taken.tier, concurrency=max(1, taken.workers), taken=True
        )
    point, freeze = _point(request, protected), protected.from_copy and not protected.frozen_at
    measured: dict[str, Any] = {}
    if not freeze:
        found = judge_source(protected, application_name=session_name("start", point.id))
        measured = {"workers": found.workers, "workers_why": f"{found.sentence} {found.warning}".strip()}
    point = replace(point, **measured)
    try:
        points.begin(point)
    except BackupAlreadyRunning as running:
        take_over(running, point.execution, points=points, holds=holds, executions=executions)
        if dead := str(running.ids.get("point", "")):
            end_orphans(protected.parameters, dead)
        points.begin(point)
    point = points.get(point.id)  # an earlier invocation may have measured before
    if protected.frozen_at:
        point = points.note(point.id, **measured)  # before, nobody had seen the copy
    attempt = point.yields + 1
    return Started(
        database=point.database,
        point_id=point.id,
        tier=point.tier,
        concurrency=max(1, point.workers),
        workers_why=point.workers_why,
        attempt=attempt,
        pause_seconds=0 if protected.frozen_at else protected.pause_after(attempt),
        freeze=freeze,
        may_freeze=protected.may_freeze and not protected.frozen_at,
    )


def _of_another_delivery(request: BackupRequest, points: Points, executions: Executions) -> RecoveryPoint | None:
    """Return the point that another delivery of the same schedule makes or has made; one that failed is none."""
    if not request.scheduled_at:
        return None
    for point in points.newest_first(request.database, limit=LOOKED_AT):
        same = (point.scheduled_at, point.tier, point.kind) == (request.scheduled_at, request.tier, request.kind)
        if same and point.execution != request.execution:
            lives = point.state is PointState.CAPTURING and executions.running(point.execution)
            if lives or (point.complete and point.state is not PointState.FAILED):
                return point
    return None


def judge_source(protected: Protected, *, application_name: str) -> Share:
    """
    Connect and raise what stands in the way of a backup, the cheapest checks first.

    Returns how many workers may copy at once.
    """
    parameters = protected.parameters
    checks.refuse_pooled_host(parameters)
    balance.refuse_balanced_host(parameters)
    major = int(checks.client_version().split(".", maxsplit=1)[0])
    with connect_to_source(parameters, application_name=application_name, **SETTINGS) as session:
        checks.refuse_pooler(session, parameters)
        checks.refuse_server(session, client_major=major, standby=protected.standby)
        refuse_unmatched(session, protected.selection, protected.name)
        checks.refuse_unreadable(session, protected.selection)
        checks.refuse_too_large(session, protected.selection)
        refuse_unspeakable(session)
        found = checks.share_of_connections(session, wanted=protected.concurrency)
        balance.refuse_balanced(session, parameters, application_name=application_name)
        checks.refuse_without_room_for_locks(session, workers=found.workers, selection=protected.selection)
        return found


def point_of(request: BackupRequest) -> str:
    """Return the id of the point that *request* makes: it follows from the execution."""
    entropy = hashlib.sha256(request.execution.encode()).hexdigest()
    return point_id(request.database, request.execution_started_at, entropy)


def _point(request: BackupRequest, protected: Protected) -> RecoveryPoint:
    return RecoveryPoint(
        id=point_of(request),
        database=request.database,
        tier=request.tier,
        kind=request.kind,
        state=PointState.CAPTURING,
        started_at=request.execution_started_at,
        taken_at=request.execution_started_at,
        execution=request.execution,
        reason=request.reason,
        scheduled_at=request.scheduled_at or "",
        selection=str(protected.selection),
        keep_until=request.execution_started_at + timedelta(days=request.keep_days) if request.keep_days else None,
        protected=request.reason if request.protect else "",
    )
