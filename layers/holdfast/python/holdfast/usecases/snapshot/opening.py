"""Open a hold: lock, take the snapshot or take it over, and publish it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.errors import LockNotAvailable

from holdfast.adapters.postgres.connect import Connection, connect_to_source, set_where_known
from holdfast.adapters.postgres.snapshots import Exported, export_again, export_first, lock_failure
from holdfast.contracts.backup import HoldRequest
from holdfast.errors import BackupYielded, HoldfastError, SnapshotLost, SnapshotNotReady
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Hold, Holds, Points
from holdfast.ports.executions import Executions
from holdfast.usecases.snapshot.access import let_in_before
from holdfast.usecases.snapshot.protected import Protected

LOCK_TRIES = 4
LOCK_PAUSE_SECONDS = 3
"""Short tries with pauses, for whoever reads these tables queues behind a lock request that waits."""

# A frozen sandbox must not keep the server from vacuuming: the server ends a session that stays silent.
SETTINGS = {
    "lock_timeout": "5s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "60s",
    "transaction_timeout": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as a holder needs it; *seconds_left* is what remains of this invocation."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    seconds_left: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Opened:
    """A session whose transaction holds the locks and the snapshot, and the hold as it was published."""

    session: Connection
    hold: Hold


class Opening:
    """What opening one generation of a hold needs."""

    def __init__(
        self,
        request: HoldRequest,
        *,
        protected: Protected,
        points: Points,
        holds: Holds,
        executions: Executions,
        clock: Clock,
    ) -> None:
        self._request, self._protected, self._points = request, protected, points
        self._holds, self._executions, self._clock = holds, executions, clock

    def open(self) -> Opened | None:
        """
        Publish the snapshot under locks; nothing when this generation is held already, or nobody waits for it.

        Events are delivered at least once, and both invocations have the same token: whichever publishes
        second must neither replace the snapshot nor answer, whatever it meets on the way. Raises
        `SnapshotLost`, `SchemaChanged`, `DatabaseBusy`, `BackupYielded` or what kept it from connecting.
        """
        if self._is_held():
            return None
        try:
            return self._opened()
        except HoldfastError:
            if self._is_held():
                return None
            self._refuse_yielded()
            raise

    def _refuse_yielded(self) -> None:
        """Raise `BackupYielded` when a predecessor gave way, whatever that looked like from here."""
        point = self._points.get(self._request.point_id)
        if point.yields >= self._request.attempt:
            raise BackupYielded(point.yielded_to, point=point.id)

    def _is_held(self) -> bool:
        hold = self._holds.current(self._request.point_id)
        return hold is not None and hold.generation >= self._request.generation

    def _opened(self) -> Opened | None:
        session = self._connect()
        try:
            set_where_known(session, SETTINGS)
            hold = self._hold(session, self._exported(session))
            if self._executions.heartbeat(self._request.task_token) and self._publish(hold):
                return Opened(session, hold)
        except psycopg.Error as error:
            session.close()
            at = f"{self._protected.parameters.host}:{self._protected.parameters.port}"
            raise lock_failure(error, at) from error
        except BaseException:
            session.close()
            raise
        session.close()
        return None

    def _publish(self, hold: Hold) -> bool:
        """Publish *hold*; withdraw it when the predecessor gave way meanwhile: the next attempt takes its own."""
        self._refuse_yielded()
        published = self._holds.publish(hold)
        try:
            self._refuse_yielded()
        except BackupYielded:
            if published:
                self._holds.end(hold.point_id)
            raise
        return published

    def _connect(self) -> Connection:
        name = session_name("hold", self._request.point_id)
        with let_in_before():
            return connect_to_source(self._protected.parameters, application_name=name)

    def _exported(self, session: Connection) -> Exported:
        for _ in range(LOCK_TRIES - 1):
            self._executions.heartbeat(self._request.task_token)  # waking a server may have taken a while
            try:
                return self._export(session)
            except LockNotAvailable:
                session.execute("ROLLBACK")
                self._clock.sleep(LOCK_PAUSE_SECONDS)
        return self._export(session)

    def _export(self, session: Connection) -> Exported:
        if self._request.generation == 1:
            return export_first(session, self._protected.selection)
        hold = self._holds.current(self._request.point_id)
        if hold is None:
            raise SnapshotLost("Nobody holds the backup's snapshot any more.", point=self._request.point_id)
        try:
            return export_again(session, hold.snapshot, another=self._connect, selection=self._protected.selection)
        except SnapshotNotReady as error:
            raise SnapshotLost(
                f"Holder {hold.generation} of the backup's snapshot ended before its successor began.",
                point=self._request.point_id,
            ) from error

    def _hold(self, session: Connection, exported: Exported) -> Hold:
        request, now = self._request, self._clock.now()
        first = self._holds.current(request.point_id) if request.generation > 1 else None
        return Hold(
            point_id=request.point_id,
            database=request.database,
            snapshot=exported.snapshot,
            generation=request.generation,
            # The moment that the data are of is that of the first snapshot, whoever exports it now.
            taken_at=first.taken_at if first else exported.taken_at,
            lsn=first.lsn if first else exported.lsn,
            opened_at=now,
            pinged_at=now,
            backend_pid=session.info.backend_pid,
            tables=len(exported.tables),
        )
