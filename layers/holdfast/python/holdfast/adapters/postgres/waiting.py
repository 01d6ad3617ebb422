"""Who waits behind the sessions of a backup, and how those are ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from holdfast.adapters.postgres.connect import Connection
from holdfast.model.sessions import TAIL

# The view of sessions is read once per transaction unless it is told to forget.
_FORGET = "SELECT pg_catalog.pg_stat_clear_snapshot()"

# Whatever works for the point counts, also pg_dump and each copying psql: they hold locks of their own. Only a session
# that has a user is somebody's: an autovacuum worker has none (decision 12). Where the role may not see what others do,
# each of them is asked for; one that does not wait costs next to nothing.
_WAITERS = f"""
    WITH ours AS MATERIALIZED (
        SELECT pid FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND usename = CURRENT_USER
              AND application_name LIKE 'holdfast %%' AND pg_catalog.right(application_name, {TAIL}) = %(tail)s
    )
    SELECT a.pid, ARRAY(SELECT pid FROM ours),
           CASE WHEN a.wait_event_type = 'Lock' OR a.query = '<insufficient privilege>'
                THEN pg_catalog.pg_blocking_pids(a.pid) END
    FROM pg_catalog.pg_stat_activity a
    WHERE a.usesysid IS NOT NULL AND a.pid NOT IN (SELECT pid FROM ours)
"""  # noqa: S608  # a number of our own

# A session that waits for transactions to end (CREATE INDEX CONCURRENTLY) waits for no table, but has locked one.
_DETAILS = """
    SELECT a.pid, coalesce(a.usename::text, ''), a.application_name, coalesce(l.relation, h.relation)::regclass::text,
           {since}, pg_catalog.clock_timestamp()
    FROM pg_catalog.pg_stat_activity a
    JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND NOT l.granted
    LEFT JOIN LATERAL (
        SELECT g.relation FROM pg_catalog.pg_locks g
        WHERE g.pid = a.pid AND g.granted AND g.mode = 'ShareUpdateExclusiveLock' AND g.locktype = 'relation'
        ORDER BY g.relation LIMIT 1
    ) h ON true
    WHERE a.pid = ANY (%(pids)s)
"""
_WAITSTART_SINCE = 140_000

_END = f"""
    SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
    WHERE datname = pg_catalog.current_database() AND usename = CURRENT_USER AND pid <> pg_catalog.pg_backend_pid()
          AND application_name LIKE 'holdfast %%' AND pg_catalog.right(application_name, {TAIL}) = %(tail)s
"""  # noqa: S608  # a number of our own


@dataclass(frozen=True, slots=True)
class Waiter:
    """
    A session that waits for a lock which a session of the backup stands in the way of.

    *seconds* is how long it has been waiting for this one lock, or None where the server does not tell.
    *table* is empty where the lock is on none. *followed* is for how long somebody has been waiting behind this one.
    """

    pid: int
    user: str
    application: str
    table: str
    seconds: float | None
    followed: float = 0.0

    def __str__(self) -> str:
        """Name the session and what it waits for; its statement might hold values."""
        application = f" ({self.application})" if self.application else ""
        who = f"session {self.pid} of {self.user or 'somebody'}{application}"
        return f"{who}, which waits for {self.table}" if self.table else f"{who}, which waits for a lock"


def waiting_behind(connection: Connection, point_id: str) -> list[Waiter]:
    """
    Return the sessions of others that wait behind any session of the point's backup, in no order.

    Who waits behind one of these, like a reader behind an ALTER, goes on with it, and is told as its `followed`.
    """
    connection.execute(_FORGET)
    rows = connection.execute(_WAITERS, {"tail": point_id[-TAIL:]}).fetchall()
    behind = {pid: set(blockers) for pid, _, blockers in rows if blockers}
    direct = {pid for pid, ours, _ in rows if behind.get(pid, set()) & set(ours)}
    if not direct:
        return []
    known = {waiter.pid: waiter for waiter in _described(connection, list(behind))}
    return [_followed(known[pid], known, behind) for pid in direct if pid in known]


def _followed(waiter: Waiter, known: dict[int, Waiter], behind: dict[int, set[int]]) -> Waiter:
    """Return *waiter* with how long somebody has been waiting behind it, who waits behind others that do included."""
    followers: set[int] = set()
    while more := {pid for pid, blockers in behind.items() if blockers & (followers | {waiter.pid})} - followers:
        followers |= more
    longest = max((known[pid].seconds or 0.0 for pid in followers - {waiter.pid} if pid in known), default=0.0)
    # Before it waited for us, what waited behind it was its own affair.
    return replace(waiter, followed=min(longest, waiter.seconds or 0.0))


def end_sessions(connection: Connection, point_id: str) -> int:
    """
    End every other session of the point's backup, which a role may do to its own; return how many there were.

    Their transactions end within moments, with all their locks.
    """
    connection.execute(_FORGET)
    return len(connection.execute(_END, {"tail": point_id[-TAIL:]}).fetchall())


def _described(connection: Connection, pids: list[int]) -> Iterator[Waiter]:
    exact = connection.info.server_version >= _WAITSTART_SINCE
    details = _DETAILS.format(since="l.waitstart" if exact else "a.query_start")
    for pid, user, application, table, since, now in connection.execute(details.encode(), {"pids": pids}).fetchall():
        yield Waiter(pid, user, application, table or "", _passed(since, now))


def _passed(since: Any, now: datetime) -> float | None:
    return (now - since.astimezone(UTC)).total_seconds() if since else None
