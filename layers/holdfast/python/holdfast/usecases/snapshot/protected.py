"""What a backup knows about the database that it protects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.configuration import Database
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.model.points import RecoveryPoint, Tier

SHORTEST_LOCK = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """
    A database as configured, and how to reach it now; no *concurrency* means as much as its server has room for.

    A backup gives way to who has waited behind it for *yield_after_seconds*, and begins anew after each of the
    *yield_pauses_seconds*. With *from_copy* it is taken of a copy that the provider freezes; *may_freeze* says that the
    provider could be asked for one, *frozen_at* that *parameters* lead to one of that moment.
    """

    name: str
    provider: str
    concurrency: int | None
    yield_after_seconds: int = 5
    yield_pauses_seconds: tuple[int, ...] = ()
    standby: bool = False
    keep_days: dict[Tier, int]
    parameters: ConnectionParameters
    selection: Selection = EVERYTHING
    from_copy: bool = False
    may_freeze: bool = False
    frozen_at: datetime | None = None

    @classmethod
    def of(cls, database: Database, parameters: ConnectionParameters, *, frozen_at: datetime | None = None) -> Self:
        """
        Return what the configuration says about *database*, reached by *parameters*.

        Those of a copy that was *frozen_at* that moment lead to it instead of to the live database.
        """
        return cls(
            name=database.name,
            provider=database.provider.value,
            concurrency=database.concurrency,
            yield_after_seconds=database.yield_after_seconds,
            yield_pauses_seconds=database.yield_pauses_seconds,
            standby=database.standby,
            keep_days=keep_days(database),
            parameters=parameters,
            selection=database.selection,
            from_copy=database.source == "copy",
            may_freeze=database.at_provider,
            frozen_at=frozen_at,
        )

    def pause_after(self, attempt: int) -> int:
        """Return how many seconds after *attempt* gave way the next begins; 0 when there is to be none."""
        pauses = self.yield_pauses_seconds
        return pauses[attempt - 1] if attempt <= len(pauses) else 0

    def is_renewed(self, attempt: int) -> bool:
        """Answer whether the machine begins another attempt when this one gives way."""
        return self.pause_after(attempt) > 0

    def retain_until(self, point: RecoveryPoint, now: datetime | None = None) -> datetime:
        """
        Return until when the point's objects are locked; one that is written *now* at least for a day from then.

        A backup may last longer than its point is kept, and S3 refuses a lock that ends in the past.
        """
        kept = kept_until(point, self.keep_days)
        return max(kept, now + SHORTEST_LOCK) if now else kept


def kept_until(point: RecoveryPoint, days: Mapping[Tier, int]) -> datetime:
    """Return until when the point is kept, of *days* by tier, unless somebody asked for a time of its own."""
    return point.keep_until or point.started_at + timedelta(days=days[point.tier])


def keep_days(database: Database) -> dict[Tier, int]:
    """Return how many days points of each tier are kept; a manual one as long as a daily one."""
    tiers = database.tiers
    return {
        Tier.HOURLY: tiers.hourly.keep_days,
        Tier.DAILY: tiers.daily.keep_days,
        Tier.WEEKLY: tiers.weekly.keep_days,
        Tier.MONTHLY: tiers.monthly.keep_days,
        Tier.MANUAL: tiers.daily.keep_days,
    }
