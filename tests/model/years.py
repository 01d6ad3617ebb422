"""Years of a database's points: schedules, failures, a provider that forgets, and people; checked after every day."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from holdfast.model import retention
from holdfast.model.points import Mechanism, PointState, RecoveryPoint, Tier
from holdfast.model.retention import Decision, Held, Policy

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KEEP = {Tier.HOURLY: 7, Tier.DAILY: 20, Tier.WEEKLY: 60, Tier.MONTHLY: 200, Tier.MANUAL: 1}
OBJECTIVE = {Tier.HOURLY: 1.2, Tier.DAILY: 1.2, Tier.WEEKLY: 8, Tier.MONTHLY: 32}
POLICY = Policy(
    keep={tier: days * DAY for tier, days in KEEP.items()},
    objective={tier: days * DAY for tier, days in OBJECTIVE.items()},
)
EVERY = {Tier.HOURLY: 1, Tier.DAILY: 1, Tier.WEEKLY: 7, Tier.MONTHLY: 30}
MEANS = {Tier.HOURLY: Mechanism.HISTORY, Tier.DAILY: Mechanism.SNAPSHOT}
WHOLE = {PointState.INTACT, PointState.PROVEN}
OUTCOMES = [PointState.INTACT] * 6 + [PointState.PROVEN, PointState.FAILED, PointState.CAPTURED, PointState.CAPTURING]


@dataclass
class Years:
    """One database; *chance* decides what goes wrong."""

    chance: random.Random
    points: dict[str, RecoveryPoint] = field(default_factory=dict)
    window: int = 7
    snapshots: dict[str, datetime] = field(default_factory=dict)
    copies: set[str] = field(default_factory=set)
    outage_until: datetime = START

    def days(self, count: int) -> Iterator[list[str]]:
        """Live so many days; yields what each of them did that it should not have."""
        for day in range(count):
            now = START + day * DAY
            self._morning(day, now)
            held = self._held(now)
            before = list(self.points.values())
            decisions = retention.decide(before, POLICY, now=now, held=held)
            yield list(violations(before, decisions, now, held))
            for decision in decisions:
                if decision.lost:
                    self.points[decision.point.id] = replace(decision.point, state=PointState.FAILED)
                elif decision.expires:
                    del self.points[decision.point.id]
                    self.snapshots.pop(decision.point.provider_id, None)

    def _morning(self, day: int, now: datetime) -> None:
        if self.chance.random() < 0.02:
            self.outage_until = now + self.chance.randint(1, 40) * DAY
        if self.chance.random() < 0.03:
            self.window = self.chance.choice([0, 1, 3, 7, 7, 14])
        due = [tier for tier, every in EVERY.items() if day % every == 0 and now >= self.outage_until]
        for tier in [*due, *([Tier.MANUAL] if self.chance.random() < 0.1 else [])]:
            self._take(tier, now)
        for point in list(self.points.values()):
            self._happens_to(point)
        for name, taken in list(self.snapshots.items()):
            # The provider keeps its own for ten days, and once in a while somebody deletes one of ours.
            if (name.startswith("auto") and now - taken > 10 * DAY) or self.chance.random() < 0.002:
                del self.snapshots[name]

    def _take(self, tier: Tier, now: datetime) -> None:
        state, mechanism = self.chance.choice(OUTCOMES), MEANS.get(tier, Mechanism.ARCHIVE)
        name = f"{tier}-{now:%Y%m%d}"
        point = RecoveryPoint(
            id=name,
            database="shop",
            tier=tier,
            kind=self.chance.choice(["full"] * 5 + ["schema"]) if mechanism is Mechanism.ARCHIVE else "full",
            state=state,
            started_at=now,
            taken_at=now,
            execution="arn",
            intact_at=now if state in WHOLE else None,
            mechanism=mechanism,
        )
        if mechanism is Mechanism.SNAPSHOT and state in WHOLE:
            adopted = self.chance.random() < 0.7
            snapshot = f"{'auto' if adopted else 'ours'}-{name}"
            self.snapshots[snapshot] = now
            copied = f"copy-{name}" if self.chance.random() < 0.5 else ""
            self.copies |= {copied} - {""}
            point = replace(point, adopted=adopted, provider_id=snapshot)
            point = replace(point, second_id=copied, second_at=now if copied else None)
        if tier is Tier.MANUAL and self.chance.random() < 0.5:
            point = replace(point, keep_until=now + self.chance.randint(1, 60) * DAY)
        self.points[name] = point

    def _happens_to(self, point: RecoveryPoint) -> None:
        """Let a verification end, bytes rot, or people protect the point or think better of it."""
        dice = self.chance.random()
        if point.state in {PointState.CAPTURED, PointState.CAPTURING} and dice < 0.5:
            ended = PointState.FAILED if dice < 0.1 else PointState.INTACT
            point = replace(point, state=ended, intact_at=point.started_at)
        elif point.state in WHOLE and dice < 0.002:
            point = replace(point, state=PointState.FAILED)
        elif point.archived and dice > 0.995:
            point = replace(point, protected="" if point.protected else "litigation")
        self.points[point.id] = point

    def _held(self, now: datetime) -> Held:
        earliest = now - self.window * DAY if self.window else None
        return Held(earliest=earliest, snapshots=frozenset(self.snapshots), copies=frozenset(self.copies))


def violations(
    before: Collection[RecoveryPoint], decisions: Sequence[Decision], now: datetime, held: Held
) -> Iterator[str]:
    """Yield what the policy promises and the *decisions* break, said once more in other words than the model's."""
    let_go = {each.point.id for each in decisions if each.expires or each.lost}
    there = [point for point in before if _there(point, held, now)]
    whole = sorted(
        (one for one in there if one.state in WHOLE and one.kind == "full"), key=lambda one: (one.taken_at, one.id)
    )
    newest = {one.tier: one for one in whole}
    proven = [one for one in whole if one.state is PointState.PROVEN][-1:]
    for point in before:
        if point.id not in let_go and not _there(point, held, now):
            yield f"{point.id}: counted although the provider has it no more"
    for point in there:
        reasons = list(_reasons(point, newest.get(point.tier), proven, now))
        if point.id in let_go:
            yield from (f"{point.id}: {reason}" for reason in reasons)
        elif not reasons:
            yield f"{point.id}: hoarded"


def _reasons(
    point: RecoveryPoint, newest: RecoveryPoint | None, proven: Collection[RecoveryPoint], now: datetime
) -> Iterator[str]:
    """Yield why the point must stay."""
    if newest == point:
        yield "the newest intact of its tier"
    if point in proven:
        yield "the newest proven"
    if point.protected:
        yield "protected"
    if point.tier in POLICY.objective and not _fresh(newest, now):
        yield "of a tier that fails"
    if point.state in {PointState.CAPTURING, PointState.CAPTURED} and now - point.started_at < 3 * DAY:
        yield "not finished"
    if not _over(point, now):
        yield "before its time"


def _there(point: RecoveryPoint, held: Held, now: datetime) -> bool:
    if point.state not in WHOLE or point.mechanism is Mechanism.ARCHIVE:
        return True
    if point.mechanism is Mechanism.HISTORY:
        return held.earliest is not None and point.taken_at >= held.earliest
    known = point.provider_id in held.snapshots or (bool(point.second_id) and point.second_id in held.copies)
    return known or now - (point.intact_at or point.started_at) < DAY


def _fresh(newest: RecoveryPoint | None, now: datetime) -> bool:
    return newest is not None and now - newest.taken_at <= POLICY.objective[newest.tier]


def _over(point: RecoveryPoint, now: datetime) -> bool:
    return now > point.keep_until if point.keep_until else now - point.taken_at > POLICY.keep[point.tier]
