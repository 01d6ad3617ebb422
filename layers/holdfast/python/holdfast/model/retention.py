"""
Which recovery points of a database may expire: the rules, and a sentence for each decision.

Each tier keeps its points for its own time, so that the hourly ones of last week, the daily ones of last month and
the monthly ones of last year lie beside each other. What must never go is found first: age decides only over the rest.
What a provider has let go is gone whatever is decided here, so it is told apart, and never counts for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from holdfast.model.points import Kind, Mechanism, PointState, RecoveryPoint, Tier

RUNNING = {PointState.CAPTURING, PointState.CAPTURED}
WHOLE = {PointState.INTACT, PointState.PROVEN}
LONGEST_RUN = timedelta(days=3)
"""Longer than any backup with its verification: what is unfinished for longer, nobody finishes any more."""
SEEN_FOR = timedelta(days=1)
"""A provider's list may lag: only what was intact for so long, and is not in the list, is gone."""


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
    """
    Whether a point *expires*, and *why* or why not, in a sentence.

    A *lost* one has failed: its provider was to keep it, and does not have it any more.
    """

    point: RecoveryPoint
    expires: bool
    why: str
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    What a provider has of a database: its window's *earliest* moment, the ids of *snapshots* and of their *copies*.

    Without a window (*earliest* is None) there is no history at all.
    """

    earliest: datetime | None = None
    snapshots: Collection[str] = field(default_factory=frozenset)
    copies: Collection[str] = field(default_factory=frozenset)


def decide(
    points: Collection[RecoveryPoint],
    policy: Policy,
    *,
    now: datetime,
    held: Held | None = None,
    uses: Mapping[str, str] | None = None,
) -> tuple[Decision, ...]:
    """
    Decide over all *points* of one database, the newest first; those that have expired are not spoken of.

    *held* is what the provider has; None when nobody could be asked, and then nothing is taken for gone. *uses* are
    sentences about points that something needs just now, by id. A point that is kept for any reason is kept; the
    first reason that applies is told.
    """
    living = [point for point in points if point.state is not PointState.EXPIRED]
    ordered = sorted(living, key=lambda point: (point.taken_at, point.id), reverse=True)
    gone = {point.id: why for point in ordered if (why := _gone(point, held, now))}
    there = [point for point in ordered if point.id not in gone]
    failing = failing_tiers(there, policy, now=now)
    kept = _never(there, now) | dict(uses or {})
    return tuple(
        _let_go(point, gone[point.id]) if point.id in gone else _judged(point, policy, now, kept=kept, failing=failing)
        for point in ordered
    )


def failing_tiers(points: Sequence[RecoveryPoint], policy: Policy, *, now: datetime) -> frozenset[Tier]:
    """Return the tiers whose newest intact point is older than their objective, or that have none."""
    newest = _newest_of_tiers(points)
    return frozenset(
        tier
        for tier, objective in policy.objective.items()
        if tier not in newest or now - newest[tier].taken_at > objective
    )


def _gone(point: RecoveryPoint, held: Held | None, now: datetime) -> str:
    """Say in a sentence why the point is not there any more at its provider, if so."""
    if held is None or point.archived or point.state not in WHOLE:
        return ""
    if point.mechanism is Mechanism.HISTORY:
        if held.earliest is None:
            return "The provider keeps no history any more."
        reach = f"{held.earliest.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        left = point.taken_at < held.earliest
        return f"Its moment has left the provider's window, which reaches back to {reach}." if left else ""
    fresh = now - (point.intact_at or point.started_at) < SEEN_FOR
    copied = point.second_at is not None and point.second_id in held.copies
    if fresh or copied or point.provider_id in held.snapshots:
        return ""
    return "The provider does not have its snapshot any more."


def _let_go(point: RecoveryPoint, why: str) -> Decision:
    """Let the history and the provider's own snapshots end as the provider ends them; ours were not to go."""
    lost = point.mechanism is Mechanism.SNAPSHOT and not point.adopted
    return Decision(point, expires=not lost, why=why, lost=lost)


def _judged(
    point: RecoveryPoint, policy: Policy, now: datetime, *, kept: Mapping[str, str], failing: Collection[Tier]
) -> Decision:
    if point.id in kept:
        return Decision(point, expires=False, why=kept[point.id])
    old, why = _age(point, policy.keep[point.tier], now)
    if old and point.tier in failing:
        return Decision(
            point, expires=False, why=f"No {point.tier} point has become intact in time, so none is removed."
        )
    return Decision(point, expires=old, why=why)


Guard = Callable[[Sequence[RecoveryPoint], datetime], Mapping[str, str]]
"""Finds, among the points newest first, those that no age removes, by id, and says why."""


def _never(newest_first: Sequence[RecoveryPoint], now: datetime) -> dict[str, str]:
    """Return the points that no age removes, by id, and why; of several reasons the one that holds longest."""
    kept: dict[str, str] = {}
    for guard in GUARDS:
        kept |= guard(newest_first, now)
    return kept


def _unfinished(newest_first: Sequence[RecoveryPoint], now: datetime) -> dict[str, str]:
    found = (point for point in newest_first if point.state in RUNNING and now - point.started_at < LONGEST_RUN)
    return {point.id: "It is not finished." for point in found}


def _newest_intact(newest_first: Sequence[RecoveryPoint], _: datetime) -> dict[str, str]:
    newest = _newest_of_tiers(newest_first)
    return {point.id: f"It is the newest intact {tier} point." for tier, point in newest.items()}


def _newest_proven(newest_first: Sequence[RecoveryPoint], _: datetime) -> dict[str, str]:
    proven = next((point for point in newest_first if point.state is PointState.PROVEN and _full(point)), None)
    return {proven.id: "It is the newest proven point of the database."} if proven else {}


def _protected(newest_first: Sequence[RecoveryPoint], _: datetime) -> dict[str, str]:
    return {point.id: f"It is protected: {point.protected.rstrip('.')}." for point in newest_first if point.protected}


GUARDS: tuple[Guard, ...] = (_unfinished, _newest_intact, _newest_proven, _protected)


def _age(point: RecoveryPoint, kept_for: timedelta, now: datetime) -> tuple[bool, str]:
    """Answer whether the point's time is over, with a sentence about it."""
    if point.keep_until:
        until = f"{point.keep_until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        over = now > point.keep_until
        return over, f"It was to be kept until {until}." if over else f"It is kept until {until}."
    age = now - point.taken_at
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
