"""Which points may expire, and the sentence that says why; years of them are in test_years."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.points import PointState, RecoveryPoint, Tier
from holdfast.model.retention import Decision, Policy, decide, failing_tiers

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = Policy(
    keep={
        Tier.HOURLY: timedelta(days=7),
        Tier.DAILY: timedelta(days=30),
        Tier.WEEKLY: timedelta(days=90),
        Tier.MONTHLY: timedelta(days=365),
        Tier.MANUAL: timedelta(days=30),
    },
    objective={
        Tier.HOURLY: timedelta(hours=2),
        Tier.DAILY: timedelta(hours=25),
        Tier.WEEKLY: timedelta(days=8),
        Tier.MONTHLY: timedelta(days=32),
    },
)
WHOLE = {PointState.INTACT, PointState.PROVEN}


def point(tier: Tier, age: timedelta, state: PointState = PointState.INTACT, **facts: object) -> RecoveryPoint:
    taken_at = NOW - age
    made = RecoveryPoint(
        id=f"shop-{taken_at:%Y%m%dt%H%M%Sz}-{tier[:3]}",
        database="shop",
        tier=tier,
        kind="full",
        state=state,
        started_at=taken_at,
        taken_at=taken_at,
        execution="arn",
    )
    return replace(made, **facts)  # type: ignore[arg-type]  # facts are fields by name


def healthy(*points: RecoveryPoint) -> list[RecoveryPoint]:
    """Return *points* beside a fresh one of each tier."""
    return [*(point(tier, timedelta(minutes=5)) for tier in POLICY.objective), *points]


def of(decisions: Sequence[Decision], wanted: RecoveryPoint) -> Decision:
    return next(each for each in decisions if each.point is wanted)


def test_a_point_expires_when_its_tiers_time_is_over() -> None:
    old = point(Tier.DAILY, timedelta(days=31))
    young = point(Tier.DAILY, timedelta(days=29))
    decisions = decide(healthy(old, young), POLICY, now=NOW)

    assert of(decisions, old) == Decision(old, True, "It is 31 days old; daily points are kept for 30 days.")
    assert of(decisions, young) == Decision(young, False, "It is 29 days old; daily points are kept for 30 days.")


def test_the_newest_intact_point_of_a_tier_stays_whatever_its_age() -> None:
    only = point(Tier.DAILY, timedelta(days=400))
    decision = of(decide([only], POLICY, now=NOW), only)
    assert (decision.expires, decision.why) == (False, "It is the newest intact daily point.")


def test_the_newest_proven_point_of_a_database_stays_whatever_its_age() -> None:
    proven = point(Tier.MANUAL, timedelta(days=900), PointState.PROVEN)
    decision = of(decide(healthy(proven), POLICY, now=NOW), proven)
    assert (decision.expires, decision.why) == (False, "It is the newest proven point of the database.")


def test_nothing_is_removed_from_a_tier_that_is_failing() -> None:
    newest = point(Tier.DAILY, timedelta(days=3))
    old = point(Tier.DAILY, timedelta(days=40))
    decision = of(decide([newest, old], POLICY, now=NOW), old)
    assert not decision.expires
    assert decision.why == "No daily point has become intact in time, so none is removed."


def test_failed_and_partial_points_do_not_make_a_tier_healthy() -> None:
    failed = point(Tier.DAILY, timedelta(hours=1), PointState.FAILED)
    schema = point(Tier.DAILY, timedelta(hours=2), kind="schema")
    assert Tier.DAILY in failing_tiers([failed, schema], POLICY, now=NOW)


def test_protected_and_unfinished_points_stay() -> None:
    held = point(Tier.DAILY, timedelta(days=200), protected="litigation 17")
    running = point(Tier.DAILY, timedelta(days=2), PointState.CAPTURED)
    decisions = decide(healthy(held, running), POLICY, now=NOW)
    assert of(decisions, held).why == "It is protected: litigation 17."
    assert of(decisions, running).why == "It is not finished."


def test_old_failed_points_go_like_others_and_expired_ones_are_not_spoken_of() -> None:
    failed = point(Tier.DAILY, timedelta(days=40), PointState.FAILED)
    gone = point(Tier.DAILY, timedelta(days=60), PointState.EXPIRED)
    decisions = decide(healthy(failed, gone), POLICY, now=NOW)
    assert of(decisions, failed).expires
    assert all(each.point is not gone for each in decisions)


@given(ages=st.lists(st.integers(0, 2_000), min_size=1, max_size=40))
def test_deciding_again_removes_nothing_more(ages: list[int]) -> None:
    points = [replace(point(Tier.DAILY, timedelta(days=age)), id=str(number)) for number, age in enumerate(ages)]
    first = [each.point for each in decide(points, POLICY, now=NOW) if not each.expires]
    again = [each.point for each in decide(first, POLICY, now=NOW) if not each.expires]
    assert again == first
    assert all(one.taken_at >= other.taken_at for one, other in pairwise(first))
