"""Watch who waits behind a backup, and give way in time."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

import psycopg

from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect_to_source, translate
from holdfast.adapters.postgres.translation import RECOVERY_CONFLICT
from holdfast.adapters.postgres.waiting import Waiter, end_sessions, waiting_behind
from holdfast.errors import BackupYielded, HoldfastError, SnapshotLost
from holdfast.model.sessions import session_name
from holdfast.usecases.snapshot.opening import Clock

LOOK_SECONDS = 2
"""How often the holder looks who waits; whoever has waited for long enough has waited so much longer, at most."""
FOLLOWED_SHARE, FOLLOWED_SECONDS = 0.4, 2.0
"""Of the patience, but at least so long: what somebody may wait behind a waiter, and from when on a wait adds up."""
WINDOW, WINDOW_SECONDS = 6, 30
"""Times the patience, but at least so long: who waits for more than half of that, wait after wait, is let go on."""
ENDING_TRIES, ENDING_PAUSE_SECONDS = 10, 0.5
"""Workers may connect once more before they hear that it is over."""


class Again:
    """Waits that come again and again: how much of the last while each user, application and table spent waiting."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._waits: dict[tuple[str, str, str], dict[int, tuple[datetime, datetime]]] = {}

    def add(self, waiter: Waiter, seconds: float, now: datetime) -> bool:
        """
        Add what *waiter* has waited by now; answer whether these waits fill more than half of the window.

        A wait is taken to last until the middle between two looks; one that goes on replaces its former end.
        """
        waits = self._waits.setdefault((waiter.user, waiter.application, waiter.table), {})
        began, end = now - timedelta(seconds=seconds), now + timedelta(seconds=LOOK_SECONDS / 2)
        waits[round(began.timestamp())] = (began, end)
        opens = now - timedelta(seconds=self._window)
        for key in [key for key, (_, until) in waits.items() if until < opens]:
            del waits[key]
        return _covered(sorted(waits.values()), opens) > self._window / 2


def _covered(waits: list[tuple[datetime, datetime]], opens: datetime) -> float:
    """Return how many seconds since *opens* are within any of *waits*: sessions that wait at once count once."""
    total = 0.0
    for began, end in waits:
        since = max(began, opens)
        if end > since:
            total += (end - since).total_seconds()
            opens = end
    return total


class Watch:
    """What one holder knows about sessions that wait behind the backup of a point."""

    def __init__(self, point_id: str, *, patience: float, clock: Clock) -> None:
        self._point_id, self._patience, self._clock = point_id, patience, clock
        self._first_seen: dict[tuple[int, str], datetime] = {}
        self._looked_at: datetime | None = None
        self._noticed = max(FOLLOWED_SECONDS, patience * FOLLOWED_SHARE)
        self._again = Again(max(WINDOW_SECONDS, patience * WINDOW))

    def look(self, session: Connection) -> Waiter | None:
        """
        Return a session that has been waiting for too long, if it is time to look and there is one.

        Looking also shows the server that the holder lives. A session that gives up after a second and asks again is
        patient with us; waits of `FOLLOWED_SECONDS` add up, for each keeps readers out as a long one would.
        Raises `SnapshotLost` when the holder's session is gone.
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
        impatient = [one for one in waiting if self._is_impatient(one, now)]
        return max(impatient, key=lambda one: self._seconds(one, now)) if impatient else None

    def _is_impatient(self, waiter: Waiter, now: datetime) -> bool:
        seconds = self._seconds(waiter, now)
        if seconds >= self._patience or waiter.followed >= self._noticed:
            return True
        return seconds >= self._noticed and self._again.add(waiter, seconds, now)

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
