"""How a provider is set up, judged against what the tiers need."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.model import provider_settings as names
from holdfast.model.provider_settings import Judgement, Setting, Standing, Value, Wanted, changes, judge

DAY = 86_400
WANTED = Wanted(
    history=timedelta(days=7), second_region="eu-west-1", snapshot_keep=timedelta(days=30), quiet=(22 * 60, 6 * 60)
)


def judged(name: str, value: Value, wanted: Wanted = WANTED, **beside: Value) -> Judgement:
    facts = [Setting(name, value), *(Setting(other, found) for other, found in beside.items())]
    return next(each for each in judge(facts, wanted) if each.setting.name == name)


@pytest.mark.parametrize(
    ("name", "value", "standing", "change"),
    [
        pytest.param(names.ENCRYPTED, True, Standing.GOOD, None, id="encrypted"),
        pytest.param(names.ENCRYPTED, False, Standing.BAD, None, id="not encrypted, which cannot be set"),
        pytest.param(names.PROTECTED, True, Standing.GOOD, None, id="protected"),
        pytest.param(names.PROTECTED, False, Standing.BAD, True, id="unprotected"),
        pytest.param(names.HISTORY_SECONDS, 7 * DAY, Standing.GOOD, None, id="history exactly as long"),
        pytest.param(names.HISTORY_SECONDS, 7 * DAY - 1, Standing.BAD, 7 * DAY, id="history just short"),
        pytest.param(names.HISTORY_SECONDS, 0, Standing.BAD, 7 * DAY, id="history off"),
        pytest.param(names.BACKUP_WINDOW, "22:00-22:30", Standing.GOOD, None, id="window at the beginning of quiet"),
        pytest.param(names.BACKUP_WINDOW, "05:30-06:00", Standing.GOOD, None, id="window at the end of quiet"),
        pytest.param(names.BACKUP_WINDOW, "23:45-00:15", Standing.GOOD, None, id="window over midnight"),
        pytest.param(names.BACKUP_WINDOW, "05:31-06:01", Standing.WEAK, "22:00-22:30", id="window a minute too long"),
        pytest.param(names.BACKUP_WINDOW, "21:59-22:29", Standing.WEAK, "22:00-22:30", id="window a minute too early"),
        pytest.param(names.REPLICATED_TO, "eu-west-1", Standing.GOOD, None, id="replicated"),
        pytest.param(names.REPLICATED_TO, "", Standing.WEAK, "eu-west-1", id="replicated nowhere"),
        pytest.param(names.REPLICATED_TO, "us-east-1", Standing.WEAK, "eu-west-1", id="replicated elsewhere"),
        pytest.param(names.COPY_TAGS, False, Standing.WEAK, True, id="no tags"),
        pytest.param(names.SNAPSHOT_HOUR, 2, Standing.GOOD, None, id="scheduled as wanted"),
        pytest.param(names.SNAPSHOT_HOUR, 3, Standing.WEAK, 2, id="scheduled at another hour"),
        pytest.param(names.SNAPSHOT_HOUR, names.NEVER, Standing.BAD, 2, id="not scheduled"),
        pytest.param(names.SNAPSHOT_KEEP_SECONDS, 30 * DAY, Standing.GOOD, None, id="kept exactly as long"),
        pytest.param(names.SNAPSHOT_KEEP_SECONDS, 30 * DAY - 1, Standing.BAD, 30 * DAY, id="kept just too short"),
    ],
)
def test_judges_a_setting(name: str, value: Value, standing: Standing, change: Value | None) -> None:
    found = judged(name, value)

    assert (found.standing, found.change and found.change.value) == (standing, change)
    assert found.sentence.endswith(".")
    assert bool(found.remedy) == (standing is not Standing.GOOD)


def test_what_no_tier_rests_on_is_not_asked_for() -> None:
    none = Wanted(history=timedelta(0))

    for name, value in ((names.HISTORY_SECONDS, 0), (names.SNAPSHOT_HOUR, names.NEVER), (names.REPLICATED_TO, "")):
        assert judged(name, value, none).standing is Standing.GOOD


def test_what_no_provider_can_keep_is_not_asked_for() -> None:
    long = Wanted(history=timedelta(days=90), snapshot_keep=timedelta(days=365))

    assert judged(names.HISTORY_SECONDS, 35 * DAY, long).standing is Standing.GOOD
    assert judged(names.SNAPSHOT_KEEP_SECONDS, 35 * DAY, long).standing is Standing.GOOD


@pytest.mark.parametrize(
    ("maintenance", "better"),
    [
        ("sun:22:00-sun:22:30", "22:30-23:00"),
        ("sun:21:45-sun:22:15", "22:15-22:45"),
        ("sun:22:29-sun:22:59", "22:59-23:29"),
        ("sun:22:30-sun:23:00", "22:00-22:30"),
        ("sun:21:30-sun:22:00", "22:00-22:30"),
        ("sun:23:30-mon:00:30", "22:00-22:30"),
    ],
)
def test_a_better_window_keeps_out_of_the_maintenance_s(maintenance: str, better: str) -> None:
    found = judged(names.BACKUP_WINDOW, "12:00-12:30", **{names.MAINTENANCE_WINDOW: maintenance})

    assert found.change == Setting(names.BACKUP_WINDOW, better)


@pytest.mark.parametrize(("used", "standing"), [(4, Standing.GOOD), (5, Standing.BAD)])
def test_a_restore_in_place_needs_room_for_a_root_branch(used: int, standing: Standing) -> None:
    found = judged(names.ROOT_BRANCHES, used, **{names.MOST_ROOT_BRANCHES: 5})

    assert found.standing is standing


def test_the_changes_are_those_of_all_that_can_be_mended() -> None:
    facts = [Setting(names.ENCRYPTED, value=False), Setting(names.PROTECTED, value=False), Setting("unheard_of", 1)]

    assert changes(judge(facts, WANTED)) == (Setting(names.PROTECTED, value=True),)
