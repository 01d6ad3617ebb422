"""Retention over years of every mechanism: the policy holds each day, and each of its guards is needed for that."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model import retention
from model.years import Years

DAYS = 400


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_years_of_schedules_with_failures_keep_what_the_policy_promises_each_day(seed: int) -> None:
    years = Years(random.Random(seed))

    for broken in years.days(DAYS):
        assert broken == []
    assert years.points


def _without(name: str) -> tuple[str, Any]:
    return "GUARDS", tuple(guard for guard in retention.GUARDS if guard.__name__ != name)


@pytest.mark.parametrize(
    ("removed", "broken"),
    [
        pytest.param(_without("_unfinished"), "not finished", id="of what is being captured"),
        pytest.param(_without("_newest_intact"), "the newest intact of its tier", id="of the newest intact"),
        pytest.param(_without("_newest_proven"), "the newest proven", id="of the newest proven"),
        pytest.param(_without("_protected"), "protected", id="of what is protected"),
        pytest.param(("failing_tiers", lambda *_, **__: frozenset()), "of a tier that fails", id="of failing tiers"),
        pytest.param(("_age", lambda *_: (True, "")), "before its time", id="of what is young"),
        pytest.param(("_age", lambda *_: (False, "")), "hoarded", id="against hoarding"),
        pytest.param(("_gone", lambda *_: ""), "counted although", id="against what the provider let go"),
        pytest.param(("_full", lambda _: True), "the newest intact of its tier", id="against parts"),
    ],
)
def test_without_one_of_its_guards_some_day_breaks_the_policy(
    monkeypatch: pytest.MonkeyPatch, removed: tuple[str, Any], broken: str
) -> None:
    monkeypatch.setattr(retention, *removed)

    found = (each for seed in range(20) for day in Years(random.Random(seed)).days(DAYS) for each in day)

    assert any(broken in each for each in found)
