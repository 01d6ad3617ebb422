"""
Whether a server's lock table has room for a backup of many tables.

PostgreSQL keeps one entry for each object that anybody has locked, `max_locks_per_transaction` times the sessions
that there may be, and twice as many for who holds which. When it is full, *everybody's* next lock fails.
"""

from __future__ import annotations

from dataclasses import dataclass

HEADROOM_SHARE = 5
"""A fifth of the entries stays free for the application."""
HOLDERS = 2
"""Two holders meet at a hand-over, with every table locked."""
CATALOGUES = 64
"""What a session that lists everything locks of the system's own catalogues, with their indexes, rounded up."""
FEW = 8
"""The same for one that locks or reads tables only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTable:
    """
    What is there to lock, and the room: *per_transaction* times *sessions* objects.

    *others_objects* are locked by others now, in *others_holds* entries of who holds which.
    """

    tables: int
    indexes: int
    views: int
    per_transaction: int
    sessions: int
    others_objects: int
    others_holds: int

    @property
    def objects(self) -> int:
        """Return how many objects a backup locks: reading a table locks its indexes, writing a view down its own."""
        return self.tables + self.indexes + self.views + CATALOGUES

    def holds(self, workers: int) -> int:
        """Return how many locks all sessions of a backup hold at most, with every table being read at once."""
        definitions = self.tables + self.views  # pg_dump's; the planner and the seal work when no rows are read
        read = self.tables + self.indexes
        return HOLDERS * self.tables + definitions + read + 2 * CATALOGUES + (HOLDERS + workers) * FEW

    def least_setting(self, workers: int) -> int:
        """Return the `max_locks_per_transaction` under which it all fits, with headroom."""
        needed = max(self.objects + self.others_objects, -(-(self.holds(workers) + self.others_holds) // 2))
        with_headroom = -(-needed * HEADROOM_SHARE // (HEADROOM_SHARE - 1))
        return -(-with_headroom // max(1, self.sessions))

    def refusal(self, workers: int) -> tuple[str, str] | None:
        """Return why there is no room and what to do, or nothing when there is."""
        least = self.least_setting(workers)
        if least <= self.per_transaction:
            return None
        return (
            f"A backup of {self.tables} tables locks up to {self.objects} tables, indexes and views at once; the "
            f"server's lock table has room for {self.per_transaction * self.sessions} objects, {self.others_objects} "
            f"are locked by others now, and a fifth stays free for them.",
            f"Set max_locks_per_transaction to at least {least} (it is {self.per_transaction}) and restart the server.",
        )


def least_for_comparing(tables: int, sessions: int) -> int:
    """Return the `max_locks_per_transaction` under which *tables* can be read back, all locked at once by pg_dump."""
    with_headroom = -(-(tables + CATALOGUES) * HEADROOM_SHARE // (HEADROOM_SHARE - 1))
    return -(-with_headroom // max(1, sessions))
