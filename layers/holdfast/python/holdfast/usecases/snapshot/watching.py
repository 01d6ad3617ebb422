"""Watch who waits behind a backup, and give way in time."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import psycopg

from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect_to_source, translate
from holdfast.adapters.postgres.translation import RECOVERY_CONFLICT
from holdfast.adapters.postgres.waiting import Waiter, end_sessions, waiting_behind
from holdfast.errors import BackupYielded, HoldfastError, SnapshotLost
from holdfast.model.sessions import session_name
from holdfast.usecases.snapshot.opening import Clock

LOOK_SECONDS = 2
"""How often the holder looks who waits; whoever has waited for long enough has waited so much longer, at most."""
ENDING_TRIES, ENDING_PAUSE_SECONDS = 10, 0.5
"""Workers may connect once more before they hear that it is over."""


class Watch:
    """What one holder knows about sessions that wait behind the backup of a point."""

    def __init__(self, point_id: str, *, patience: float, clock: Clock) -> None:
        self._point_id, self._patience, self._clock = point_id, patience, clock
        self._first_seen: dict[tuple[int, str], datetime] = {}
        self._looked_at: datetime | None = None

    def look(self, session: Connection) -> Waiter | None:
        """
        Return a session that has been waiting for too long, if it is time to look and there is one.

        Looking also shows the server that the holder lives. A session that gives up by itself and asks again is
        patient with us: each of its waits counts alone. Raises `SnapshotLost` when the holder's session is gone.
        """
        now = self._clock.now()
        if self._looked_at and (now - self._looked_at).total_seconds() < LOOK_SECONDS:
            return None
        self._looked_at = now
        try:
            waiting = waiting_behind(session, self._point_id)
        except psycopg.Error as error:
            cause = translate(error, doing="holding the snapshot")
            by_replay = cause.ids.get("sqlstate") == RECOVERY_CONFLICT
            raise SnapshotLost(
                f"The session that held the snapshot ended. {cause.message}", hint=cause.hint if by_replay else None
            ) from error
        seen = {(one.pid, one.table): self._first_seen.get((one.pid, one.table), now) for one in waiting}
        self._first_seen = seen
        impatient = [one for one in waiting if self._seconds(one, now) >= self._patience]
        return max(impatient, key=lambda one: self._seconds(one, now)) if impatient else None

    def _seconds(self, waiter: Waiter, now: datetime) -> float:
        if waiter.seconds is not None:
            return waiter.seconds
        return (now - self._first_seen[waiter.pid, waiter.table]).total_seconds()

    def end_others(self, session: Connection) -> None:
        """End what else works for the point on the server, so that no lock and no old snapshot stays behind."""
        try:
            for _ in range(ENDING_TRIES):
                if not end_sessions(session, self._point_id):
                    return
                self._clock.sleep(ENDING_PAUSE_SECONDS)
        except psycopg.Error:
            session.close()  # it is gone, or may not end the others; they end with their functions


def end_orphans(parameters: ConnectionParameters, point_id: str) -> None:
    """
    End what still works on the server for a point whose backup is over, where the server lets us.

    Workers whose holder died may copy on for minutes. What they copy counts no more, yet their locks stand in
    others' way, and nobody watches who waits behind them.
    """
    with (
        suppress(HoldfastError, psycopg.Error),
        connect_to_source(parameters, application_name=session_name("end", point_id)) as session,
    ):
        end_sessions(session, point_id)


def yielded(waiter: Waiter, attempt: int) -> BackupYielded:
    """Return the error that says to whom the backup gave way."""
    return BackupYielded(
        f"The backup gave way in its attempt {attempt} to {waiter}: others would have waited behind it.",
        waiter=str(waiter),
    )
