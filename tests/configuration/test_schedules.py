"""Which schedule expressions EventBridge Scheduler takes."""

from __future__ import annotations

import pytest

from holdfast.configuration.schedules import schedule_fault


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 hour)",
        "rate(15 minutes)",
        "rate(7 days)",
        "cron(0 2 * * ? *)",
        "cron(0/15 * * * ? *)",
        "cron(0,30 8-18 ? * MON-FRI *)",
        "cron(0 4 1 * ? *)",
        "cron(0 3 ? * SUN *)",
        "cron(0 3 ? * 1#2 *)",
        "cron(0 3 ? * friL *)",
        "cron(0 3 L * ? *)",
        "cron(0 3 15W JAN,JUL ? 2026-2030)",
        "cron(30 23 31 12 ? 2199)",
    ],
)
def test_a_schedule_is_accepted(expression: str) -> None:
    assert schedule_fault(expression) is None


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        pytest.param("", "is no schedule", id="nothing"),
        pytest.param("0 2 * * *", "is no schedule", id="a crontab's line"),
        pytest.param("at(2026-01-31T12:00:00)", "is no schedule", id="a single time"),
        pytest.param("cron(0 2 * * ? *) ", "is no schedule", id="a blank at the end"),
        pytest.param("rate(0 hours)", "is no rate", id="a rate of nothing"),
        pytest.param("rate(1 week)", "is no rate", id="an unknown unit"),
        pytest.param("cron(0 2 * * *)", "has 5 fields", id="five fields"),
        pytest.param("cron()", "has 0 fields", id="no fields"),
        pytest.param("cron(60 2 * * ? *)", "'60' where minutes", id="a minute too many"),
        pytest.param("cron(0 24 * * ? *)", "'24' where hours", id="an hour too many"),
        pytest.param("cron(0 2 0 * ? *)", "'0' where day of month", id="a day too few"),
        pytest.param("cron(0 2 32W * ? *)", "'32W' where day of month", id="a weekday beyond the month"),
        pytest.param("cron(0 2 ? 13 * *)", "'13' where month", id="a month too many"),
        pytest.param("cron(0 2 ? * 0 *)", "'0' where day of week", id="Sunday as 0"),
        pytest.param("cron(0 2 ? * MON#6 *)", "'MON#6' where day of week", id="a sixth Monday"),
        pytest.param("cron(0 2 ? * FRI-MON *)", "'FRI-MON' where day of week", id="a range that goes back"),
        pytest.param("cron(0 2 * * ? 1969)", "'1969' where year", id="a year too early"),
        pytest.param("cron(0/0 2 * * ? *)", "'0/0' where minutes", id="a step of nothing"),
        pytest.param("cron(² 2 * * ? *)", "'²' where minutes", id="a digit that is none"),
        pytest.param("cron(, 2 * * ? *)", "',' where minutes", id="a list of nothing"),
        pytest.param("cron(0 2 * * * *)", "must have ?", id="both days"),
        pytest.param("cron(0 2 ? * ? *)", "must have ?", id="neither day"),
    ],
)
def test_a_schedule_is_refused_with_the_reason(expression: str, fault: str) -> None:
    assert fault in (schedule_fault(expression) or "")
