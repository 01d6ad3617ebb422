"""
When what a provider has counts as a recovery point: the rules, with a sentence for each that is broken.

A provider may say that it is done and yet have nothing that brings the database back: a snapshot of another database,
one that is empty, one that is not encrypted, one of the week before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from holdfast.model.points import Tier
from holdfast.ports.providers import Progress, ProviderSnapshot, Window

LONGEST_LAG = timedelta(minutes=15)
"""Logs go to RDS's store every five minutes; three of them missing is a fault."""
SKEW = timedelta(minutes=5)
"""How far clocks may differ."""
ADOPTABLE = timedelta(hours=12)
"""How old a provider's own snapshot may be when it becomes the day's point: the next one is no further away."""
EXPECTED = timedelta(days=2)
"""A provider that took a snapshot by itself this recently will do so again."""
_STILL_TO_COME = datetime.max.replace(tzinfo=UTC)
LIMITS = {
    Tier.HOURLY: timedelta(minutes=50),
    Tier.DAILY: timedelta(hours=20),
    Tier.WEEKLY: timedelta(hours=24),
    Tier.MONTHLY: timedelta(hours=24),
}
"""How long a capture may take before it has failed: within the tier's period, and long enough for any snapshot."""


def fault_of_snapshot(snapshot: ProviderSnapshot, *, source: str, since: datetime, now: datetime) -> str:
    """Return why an available *snapshot* is no recovery point of *source* from *since* on; "" when it is one."""
    faults = {
        f"it is of {snapshot.source}, not of {source}": snapshot.source != source,
        "it is not encrypted": not snapshot.encrypted,
        "it is empty": snapshot.size == 0,
        _fault_of_moment(snapshot.taken_at, since, now): True,
    }
    return next(fault for fault, found in faults.items() if found)


def _fault_of_moment(moment: datetime | None, since: datetime, now: datetime) -> str:
    if moment is None:
        return "the provider does not say of what moment its data is"
    if moment < since - SKEW:
        return f"its data is of {_told(moment)}, too old for a point of {_told(since)} or later"
    if moment > now + SKEW:
        return f"its data is of {_told(moment)}, which is still to come"
    return ""


def fault_of_history(window: Window | None, *, encrypted: bool, now: datetime) -> str:
    """Return why a provider's history is no recovery point at *now*; "" when it is one."""
    if window is None:
        return "point-in-time recovery is switched off"
    if not encrypted:
        return "it is not encrypted"
    if window.latest < now - LONGEST_LAG:
        return f"it reaches to {_told(window.latest)} only, {_span(now - window.latest)} ago"
    if window.latest > now + SKEW:
        return f"it reaches to {_told(window.latest)}, which is still to come"
    if window.earliest > window.latest:
        return "it reaches nowhere yet"
    return ""


def shortfall(window: Window, keep: timedelta, tier: Tier) -> str:
    """Return, in a sentence, how far a history is short of what the tier keeps; "" when it is not."""
    reach = window.latest - window.earliest
    if reach + SKEW >= keep:
        return ""
    return f"The history reaches back {_span(reach)} so far; {tier} points are to be kept for {_span(keep)}."


def adoptable(
    snapshots: Iterable[ProviderSnapshot], *, adopted: Collection[str], due: datetime
) -> ProviderSnapshot | None:
    """Return the newest of the provider's own snapshots that is none of the *adopted* and may be that of *due*."""
    able = [
        each
        for each in snapshots
        if not each.manual
        and each.id not in adopted
        and each.progress in {Progress.AVAILABLE, Progress.CREATING}
        and _since(each, due - ADOPTABLE)
    ]
    return max(able, key=lambda each: each.taken_at or _STILL_TO_COME, default=None)


def takes_its_own(snapshots: Iterable[ProviderSnapshot], *, now: datetime) -> bool:
    """Answer whether the provider takes snapshots by itself, so that the next one can be waited for."""
    return any(not each.manual and _since(each, now - EXPECTED) for each in snapshots)


def _since(snapshot: ProviderSnapshot, moment: datetime) -> bool:
    """Answer whether a snapshot is of *moment* or later, as one without a moment is, for it is being made."""
    return snapshot.taken_at is None or snapshot.taken_at >= moment


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def _span(length: timedelta) -> str:
    """Return a length of time as people say it, rounded down."""
    minutes = int(length.total_seconds()) // 60
    for unit, size in (("days", 2 * 24 * 60), ("hours", 2 * 60)):
        if minutes >= size:
            return f"{minutes // (size // 2)} {unit}"
    return f"{minutes} minutes"
