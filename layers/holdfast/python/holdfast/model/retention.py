"""
Which recovery points of a database may expire: the rules, and a sentence for each decision.

Each tier keeps its points for its own time, so that the hourly ones of last week, the daily ones of last month and
the monthly ones of last year lie beside each other. What must never go is found first: age decides only over the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.model.points import Kind, PointState, RecoveryPoint, Tier

RUNNING = {PointState.CAPTURING, PointState.CAPTURED}
WHOLE = {PointState.INTACT, PointState.PROVEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How long the points of each tier are kept, and how old a tier's newest intact point may be.

    A tier without an *objective* has no schedule, such as `manual`: it cannot be failing.
    """

    keep: Mapping[Tier, timedelta]
    objective: Mapping[Tier, timedelta]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a point *expires*, and *why* or why not, in a sentence."""

    point: RecoveryPoint
    expires: bool
    why: str


def decide(
    points: Collection[RecoveryPoint], policy: Policy, *, now: datetime, holds: Mapping[str, str] | None = None
) -> tuple[Decision, ...]:
    """
    Decide over all *points* of one database, the newest first.

    *holds* are points that somebody protected, by id, with the reason. A point that is kept for any reason is kept;
    the first reason that applies is told.
    """
    ordered = sorted(points, key=lambda point: (point.taken_at, point.id), reverse=True)
    failing = failing_tiers(ordered, policy, now=now)
    kept = {**_never(ordered), **{point: f"It is protected: {why}." for point, why in (holds or {}).items()}}
    return tuple(
        Decision(point, expires=False, why=kept[point.id])
        if point.id in kept
        else Decision(point, *_by_age(point, policy.keep[point.tier], now, failing=point.tier in failing))
        for point in ordered
        if point.state is not PointState.EXPIRED
    )


def failing_tiers(points: Sequence[RecoveryPoint], policy: Policy, *, now: datetime) -> frozenset[Tier]:
    """Return the tiers whose newest intact point is older than their objective, or that have none."""
    newest = _newest_of_tiers(points)
    return frozenset(
        tier
        for tier, objective in policy.objective.items()
        if tier not in newest or now - newest[tier].taken_at > objective
    )


def _never(newest_first: Sequence[RecoveryPoint]) -> dict[str, str]:
    """Return the points that no age removes, by id, and why."""
    kept = {point.id: "It is not finished." for point in newest_first if point.state in RUNNING}
    kept |= {
        point.id: f"It is the newest intact {tier} point." for tier, point in _newest_of_tiers(newest_first).items()
    }
    proven = next((point for point in newest_first if point.state is PointState.PROVEN and _full(point)), None)
    return kept | ({proven.id: "It is the newest proven point of the database."} if proven else {})


def _by_age(point: RecoveryPoint, kept_for: timedelta, now: datetime, *, failing: bool) -> tuple[bool, str]:
    age = now - point.taken_at
    if age > kept_for and failing:
        return False, f"No {point.tier} point has become intact in time, so none is removed."
    return age > kept_for, f"It is {_days(age)} old; {point.tier} points are kept for {_days(kept_for)}."


def _newest_of_tiers(points: Sequence[RecoveryPoint]) -> dict[Tier, RecoveryPoint]:
    """Return the newest intact full point of each tier."""
    found: dict[Tier, RecoveryPoint] = {}
    for point in sorted(points, key=lambda point: (point.taken_at, point.id)):
        if point.state in WHOLE and _full(point):
            found[point.tier] = point
    return found


def _full(point: RecoveryPoint) -> bool:
    return point.kind == Kind.FULL


def _days(span: timedelta) -> str:
    if span < timedelta(days=2):
        hours = int(span.total_seconds() // 3600)
        return f"{hours} hour{'s' * (hours != 1)}"
    return f"{span.days} days"
