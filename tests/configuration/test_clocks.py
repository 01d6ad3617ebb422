"""Schedules on the days when clocks are changed: exactly the runs that a tier promises, in every zone."""

from __future__ import annotations

import json
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.configuration import Tiers, parse
from holdfast.configuration.clocks import left_out, runs
from holdfast.errors import BadConfiguration
from holdfast.model.points import Tier

YEAR = date(2027, 1, 1), date(2027, 12, 31)
ZONES = (
    *("UTC", "Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York", "America/Sao_Paulo"),
    *("Australia/Lord_Howe", "Pacific/Auckland", "America/Havana", "Africa/Cairo", "Asia/Beirut", "Asia/Kolkata"),
    *("America/St_Johns", "Pacific/Chatham", "Africa/Casablanca", "Atlantic/Azores", "Asia/Jerusalem"),
)
ALL_ZONES = sorted(zoneinfo.available_timezones() - {"localtime"})


def tiers(zone: str, **more: object) -> Tiers:
    given = {"provider": "postgres", "timezone": zone, "tiers": more}
    return parse(json.dumps({"databases": {"shop": given}})).databases["shop"].tiers


def starts(zone: str, tier: Tier) -> list[datetime]:
    plan = dict(tiers(zone).all())[tier]
    return list(runs(plan.schedule, plan.timezone, *YEAR))


def local_days(zone: str, tier: Tier) -> list[date]:
    return [each.astimezone(zoneinfo.ZoneInfo(zone)).date() for each in starts(zone, tier)]


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_has_exactly_its_daily_weekly_and_monthly_runs(zone: str) -> None:
    days = [YEAR[0] + timedelta(days=number) for number in range(365)]

    assert local_days(zone, Tier.DAILY) == days
    assert local_days(zone, Tier.WEEKLY) == [day for day in days if day.isoweekday() == 7]
    assert local_days(zone, Tier.MONTHLY) == [day for day in days if day.day == 1]


@pytest.mark.parametrize("zone", ZONES)
def test_every_hour_of_a_year_has_one_hourly_run(zone: str) -> None:
    found = starts(zone, Tier.HOURLY)

    assert len(found) == 365 * 24
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


@settings(max_examples=40, deadline=None)
@given(zone=st.sampled_from(ALL_ZONES), tier=st.sampled_from([Tier.DAILY, Tier.WEEKLY, Tier.MONTHLY]))
def test_no_default_leaves_a_day_out_in_any_zone(zone: str, tier: Tier) -> None:
    plan = dict(tiers(zone).all())[tier]

    assert left_out(plan.schedule, zone) is None


@settings(max_examples=40, deadline=None)
@given(zone=st.sampled_from(ZONES), hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_a_daily_schedule_is_taken_exactly_when_each_day_has_its_run(zone: str, hour: int, minute: int) -> None:
    schedule = f"cron({minute} {hour} * * ? *)"

    days = [each.astimezone(zoneinfo.ZoneInfo(zone)).date() for each in runs(schedule, zone, *YEAR)]

    complete = len(days) == len(set(days)) == 365
    assert complete or left_out(schedule, zone) is not None
    if left_out(schedule, zone) is None:
        assert complete
        tiers(zone, daily={"schedule": schedule})


@pytest.mark.parametrize(
    ("schedule", "zone", "day"),
    [
        pytest.param("cron(30 2 * * ? *)", "Europe/Berlin", date(2026, 3, 29), id="within the hour that is missing"),
        pytest.param("cron(0 2 * * ? *)", "America/New_York", date(2026, 3, 8), id="its first minute"),
        pytest.param("cron(0 3 * * ? *)", "Europe/Berlin", None, id="the first minute after it"),
        pytest.param("cron(59 1 * * ? *)", "Europe/Berlin", None, id="the last minute before it"),
        pytest.param("cron(30 2 ? * MON *)", "Europe/Berlin", None, id="on a day when no clock is changed"),
        pytest.param("cron(30 2 ? * 1L *)", "Europe/Berlin", date(2026, 3, 29), id="the last Sunday"),
        pytest.param("cron(30 2 ? * SUN#2 *)", "America/New_York", date(2026, 3, 8), id="the second Sunday"),
        pytest.param("cron(30 2 L * ? *)", "Europe/Berlin", date(2030, 3, 31), id="the last day, which it seldom is"),
        pytest.param("cron(30 2 15W * ? *)", "Europe/Berlin", None, id="a working day"),
        pytest.param("cron(30 2,14 * * ? *)", "Europe/Berlin", None, id="another hour of the day is left"),
        pytest.param("cron(0/15 * * * ? *)", "Europe/Berlin", None, id="every quarter of an hour"),
        pytest.param("rate(1 day)", "Europe/Berlin", None, id="a rate, which knows no clock"),
    ],
)
def test_a_day_that_would_be_left_out_is_named(schedule: str, zone: str, day: date | None) -> None:
    assert left_out(schedule, zone) == day


def test_a_schedule_with_a_gap_is_refused_with_its_day_and_a_remedy() -> None:
    with pytest.raises(BadConfiguration) as refused:
        tiers("Europe/Berlin", daily={"schedule": "cron(30 2 * * ? *)"})

    assert "databases.shop.tiers.daily: would leave 2026-03-29 out" in refused.value.message
    assert 'choose another hour, or timezone = "UTC"' in refused.value.message


def test_a_time_that_comes_twice_runs_once() -> None:
    found = list(runs("cron(30 2 * * ? *)", "Europe/Berlin", date(2027, 10, 31), date(2027, 10, 31)))

    assert found == [datetime(2027, 10, 31, 0, 30, tzinfo=UTC)]
