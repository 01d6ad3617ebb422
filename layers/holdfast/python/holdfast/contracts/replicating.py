"""Messages of the `replication` state machine, which looks whether the second region has all of each point."""

from __future__ import annotations

from datetime import datetime

from holdfast.contracts.message import Contract


class LagRequest(Contract):
    """Look at the points of *database*."""

    database: str


class Lag(Contract):
    """
    What of a database has not arrived: *waiting* points, the oldest sealed at *oldest*, *seconds* ago.

    *objects* counts what is missing of the oldest. All are 0 where the second region has everything.
    """

    database: str
    waiting: int = 0
    point: str = ""
    objects: int = 0
    oldest: datetime | None = None
    seconds: int = 0
