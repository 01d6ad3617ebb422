"""What every catalogue of holds promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from holdfast.ports.catalogue import Hold, Holds

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=15)
POINT = "shop-20260131t120000z-abcdef"
HOLD = Hold(
    point_id=POINT,
    database="shop",
    snapshot="00000003-0000001B-1",
    generation=2,
    taken_at=NOON,
    lsn="0/16B3748",
    opened_at=NOON,
    pinged_at=NOON,
    backend_pid=4711,
    tables=12,
)


def test_a_published_hold_is_the_current_one(holds: Holds) -> None:
    assert holds.publish(HOLD)

    assert holds.current(POINT) == HOLD
    assert list(holds.open("shop")) == [HOLD]


def test_a_newer_generation_replaces_an_older_one(holds: Holds) -> None:
    holds.publish(HOLD)

    assert holds.publish(replace(HOLD, generation=3, snapshot="later"))

    assert holds.current(POINT) == replace(HOLD, generation=3, snapshot="later")


def test_an_older_generation_never_replaces_a_newer_one(holds: Holds) -> None:
    holds.publish(HOLD)

    assert not holds.publish(replace(HOLD, generation=1, snapshot="earlier"))

    assert holds.current(POINT) == HOLD


def test_a_second_holder_of_a_generation_never_replaces_the_first(holds: Holds) -> None:
    holds.publish(HOLD)

    assert not holds.publish(replace(HOLD, snapshot="another"))

    assert holds.current(POINT) == HOLD


def test_a_hold_may_be_published_twice(holds: Holds) -> None:
    holds.publish(HOLD)

    assert holds.publish(HOLD)

    assert holds.current(POINT) == HOLD


def test_a_ping_renews_its_own_generation(holds: Holds) -> None:
    holds.publish(HOLD)

    holds.ping(POINT, 2, LATER)

    assert holds.current(POINT) == replace(HOLD, pinged_at=LATER)


def test_a_ping_of_another_generation_changes_nothing(holds: Holds) -> None:
    holds.publish(HOLD)

    holds.ping(POINT, 1, LATER)
    holds.ping(POINT, 3, LATER)

    assert holds.current(POINT) == HOLD


def test_a_ping_does_not_bring_back_a_hold_that_ended(holds: Holds) -> None:
    holds.publish(HOLD)
    holds.end(POINT)

    holds.ping(POINT, 2, LATER)

    assert holds.current(POINT) is None


def test_a_hold_may_end_twice(holds: Holds) -> None:
    holds.publish(HOLD)

    holds.end(POINT)
    holds.end(POINT)

    assert holds.current(POINT) is None
    assert list(holds.open("shop")) == []


def test_only_the_database_s_own_holds_are_listed(holds: Holds) -> None:
    other = replace(HOLD, point_id="blog-20260131t120000z-abcdef", database="blog")
    holds.publish(HOLD)
    holds.publish(other)

    assert list(holds.open("blog")) == [other]
