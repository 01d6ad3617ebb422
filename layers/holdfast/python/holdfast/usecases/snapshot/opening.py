"""Open a hold: lock, take the snapshot or take it over, and publish it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.errors import LockNotAvailable

from holdfast.adapters.postgres.connect import Connection, connect_to_source, set_where_known
from holdfast.adapters.postgres.snapshots import Exported, export_again, export_first, lock_failure
from holdfast.contracts.backup import HoldRequest
from holdfast.errors import BackupYielded, HoldfastError, SchemaChanged, SnapshotLost, SnapshotNotReady, Transient
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Hold, Holds, Points
from holdfast.ports.executions import Executions
from holdfast.usecases.snapshot.access import let_in_before, outdated
from holdfast.usecases.snapshot.patience import patiently
from holdfast.usecases.snapshot.protected import Protected

LOCK_TRIES = 4
LOCK_PAUSE_SECONDS = 3
"""Short tries with pauses, for whoever reads these tables queues behind a lock request that waits."""
SILENT_SECONDS = 50
"""After how long without a ping, which comes every ten seconds, a holder is taken for lost by its own event."""

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
        self._published = ""

    def open(self) -> Opened | None:
        """
        Publish the snapshot under locks; nothing when this generation is held already, or nobody waits for it.

        Events are delivered at least once, and both invocations have the same token: whichever publishes
        second must neither replace the snapshot nor answer, whatever it meets on the way. Raises
        `SnapshotLost`, `SchemaChanged`, `DatabaseBusy`, `BackupYielded` or what kept it from connecting, and
        `StorageThrottled` only while nothing can have been published.
        """
        if self._is_held():
            return None
        try:
            return self._opened() if self._awaited() else None
        except HoldfastError:
            if self._is_held():
                return None
            self._refuse_yielded()
            raise

    def _refuse_yielded(self) -> None:
        """Raise `BackupYielded` when a predecessor gave way, whatever that looked like from here."""
        point = patiently(self._clock.sleep, lambda: self._points.get(self._request.point_id))
        if point.yields >= self._request.attempt:
            raise BackupYielded(point.yielded_to, point=point.id)

    def _awaited(self) -> bool:
        return patiently(self._clock.sleep, lambda: self._executions.heartbeat(self._request.task_token))

    def _current(self) -> Hold | None:
        return patiently(self._clock.sleep, lambda: self._holds.current(self._request.point_id))

    def _is_held(self) -> bool:
        """
        Answer whether another invocation holds this generation or a later one; what this one published is no other's.

        Raises `SnapshotLost` when whoever held this generation is silent: its event comes again only then.
        """
        hold = self._current()
        if hold is None or hold.generation < self._request.generation or hold.snapshot == self._published:
            return False
        silent = (self._clock.now() - hold.pinged_at).total_seconds()
        if hold.generation == self._request.generation and silent > SILENT_SECONDS:
            raise SnapshotLost(
                f"Holder {hold.generation} of the backup's snapshot fell silent {silent:.0f} s ago.",
                point=hold.point_id,
            )
        return True

    def _opened(self) -> Opened | None:
        session = self._connect()
        try:
            set_where_known(session, SETTINGS)
            hold = self._hold(session, self._exported(session))
            if self._awaited() and self._publish(hold):
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
        self._published = hold.snapshot
        try:
            published = patiently(self._clock.sleep, lambda: self._holds.publish(hold))
            self._refuse_yielded()
        except Exception as error:
            self._withdraw(hold)
            if isinstance(error, Transient):  # others may have seen it, so nobody may take a second first snapshot
                raise SnapshotLost(f"The snapshot could not be published. {error.message}") from error
            raise
        return published

    def _withdraw(self, hold: Hold) -> None:
        with suppress(Transient):
            current = self._current()
            if current and current.snapshot == hold.snapshot:
                patiently(self._clock.sleep, lambda: self._holds.end(hold.point_id))

    def _connect(self) -> Connection:
        name = session_name("hold", self._request.point_id)
        with let_in_before():
            return connect_to_source(self._protected.parameters, application_name=name)

    def _exported(self, session: Connection) -> Exported:
        for _ in range(LOCK_TRIES - 1):
            self._awaited()  # waking a server may have taken a while
            try:
                return self._export(session)
            except LockNotAvailable:
                session.execute("ROLLBACK")
                self._clock.sleep(LOCK_PAUSE_SECONDS)
        return self._export(session)

    def _export(self, session: Connection) -> Exported:
        if self._request.generation == 1:
            return export_first(session, self._protected.selection)
        hold = self._current()
        if hold is None:
            raise SnapshotLost("Nobody holds the backup's snapshot any more.", point=self._request.point_id)
        try:
            return export_again(
                session,
                hold.snapshot,
                server=hold.server,
                another=self._connect,
                selection=self._protected.selection,
            )
        except SchemaChanged as error:
            attempt, points = self._request.attempt, self._points
            renewed = self._protected.is_renewed(attempt)
            raise outdated(error, points, self._request.point_id, attempt, renewed=renewed) from error
        except SnapshotNotReady as error:
            raise SnapshotLost(
                f"Holder {hold.generation} of the backup's snapshot ended before its successor began.",
                point=self._request.point_id,
            ) from error

    def _hold(self, session: Connection, exported: Exported) -> Hold:
        request, now = self._request, self._clock.now()
        first = self._current() if request.generation > 1 else None
        return Hold(
            point_id=request.point_id,
            database=request.database,
            snapshot=exported.snapshot,
            generation=request.generation,
            # The moment that the data are of is that of the first snapshot, whoever exports it now; a copy's that at
            # which it was frozen.
            taken_at=first.taken_at if first else self._protected.frozen_at or exported.taken_at,
            lsn=first.lsn if first else exported.lsn,
            opened_at=now,
            pinged_at=now,
            backend_pid=session.info.backend_pid,
            tables=len(exported.tables),
            server=exported.server,
        )
