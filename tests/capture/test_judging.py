"""What a provider has counts only when it would bring the database back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from capture.scripted import DAY, HOUR, MINUTE, NOON, SOURCE, snapshot
from holdfast.model.points import Tier
from holdfast.ports.providers import Progress, Window
from holdfast.usecases.capture import judging

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        pytest.param({}, "", id="sound"),
        pytest.param({"size": None}, "", id="of a size that nobody tells"),
        pytest.param({"source": "prod-2"}, "it is of prod-2, not of prod-1", id="of another database"),
        pytest.param({"encrypted": False}, "it is not encrypted", id="not encrypted"),
        pytest.param({"size": 0}, "it is empty", id="empty"),
        pytest.param({"taken_at": None}, "does not say of what moment", id="of no moment"),
        pytest.param({"taken_at": NOON - 2 * HOUR - 5 * MINUTE}, "", id="exactly as old as it may be"),
        pytest.param({"taken_at": NOON - 2 * HOUR - 5 * MINUTE - SECOND}, "too old for a point of", id="just too old"),
        pytest.param({"taken_at": NOON - 9 * DAY}, "too old for a point of", id="of the week before"),
        pytest.param({"taken_at": NOON + 5 * MINUTE}, "", id="as far ahead as clocks may differ"),
        pytest.param({"taken_at": NOON + 5 * MINUTE + SECOND}, "still to come", id="of a time to come"),
    ],
)
def test_judges_a_snapshot(facts: dict[str, Any], fault: str) -> None:
    found = judging.fault_of_snapshot(snapshot(**facts), source=SOURCE, since=NOON - 2 * HOUR, now=NOON)

    assert (fault in found) if fault else (found == "")


@pytest.mark.parametrize(
    ("window", "fault"),
    [
        pytest.param(Window(NOON - DAY, NOON), "", id="to now"),
        pytest.param(Window(NOON - DAY, NOON - 15 * MINUTE), "", id="as far behind as it may be"),
        pytest.param(Window(NOON - DAY, NOON - 15 * MINUTE - SECOND), "15 minutes ago", id="just too far behind"),
        pytest.param(None, "switched off", id="off"),
        pytest.param(Window(NOON - DAY, NOON + HOUR), "still to come", id="of a time to come"),
        pytest.param(Window(NOON, NOON - MINUTE), "nowhere yet", id="of no length"),
    ],
)
def test_judges_a_history(window: Window | None, fault: str) -> None:
    found = judging.fault_of_history(window, encrypted=True, now=NOON)

    assert (fault in found) if fault else (found == "")


def test_a_history_that_is_not_encrypted_does_not_count() -> None:
    found = judging.fault_of_history(Window(NOON - DAY, NOON), encrypted=False, now=NOON)

    assert found == "it is not encrypted"


@pytest.mark.parametrize(
    ("reach", "told"),
    [
        pytest.param(7 * DAY, "", id="all of it"),
        pytest.param(7 * DAY - 5 * MINUTE, "", id="all but a moment"),
        pytest.param(7 * DAY - HOUR, "6 days", id="an hour less"),
        pytest.param(6 * HOUR, "6 hours", id="the least that Neon keeps"),
        pytest.param(90 * MINUTE, "90 minutes", id="a new database"),
    ],
)
def test_says_how_far_a_history_is_short_of_its_tier(reach: timedelta, told: str) -> None:
    found = judging.shortfall(Window(NOON - reach, NOON), 7 * DAY, Tier.HOURLY)

    assert told in found
    assert bool(found) == bool(told)


@pytest.mark.parametrize(
    ("facts", "taken"),
    [
        pytest.param({}, True, id="of an hour ago"),
        pytest.param({"taken_at": NOON - 12 * HOUR}, True, id="of twelve hours ago"),
        pytest.param({"taken_at": NOON - 12 * HOUR - SECOND}, False, id="older than that"),
        pytest.param({"manual": True}, False, id="a person's"),
        pytest.param({"id": "adopted"}, False, id="another point's"),
        pytest.param({"progress": Progress.CREATING, "taken_at": None}, True, id="being made"),
        pytest.param({"progress": Progress.FAILED}, False, id="failed"),
        pytest.param({"progress": Progress.DELETING}, False, id="being deleted"),
    ],
)
def test_adopts_what_may_be_the_day_s(facts: dict[str, Any], taken: bool) -> None:
    found = judging.adoptable([snapshot(**facts)], adopted={"adopted"}, due=NOON)

    assert (found is not None) == taken


def test_the_newest_one_is_adopted() -> None:
    older = snapshot(id="older", taken_at=NOON - 3 * HOUR)

    assert judging.adoptable([older, snapshot(), older], adopted=(), due=NOON) == snapshot()


def test_one_that_is_being_made_is_newer_than_all_others() -> None:
    coming = snapshot(id="coming", progress=Progress.CREATING, taken_at=None, created_at=NOON - 99 * DAY)

    assert judging.adoptable([snapshot(), coming], adopted=(), due=NOON) == coming
