"""Points of what a provider keeps: adopted or asked for, looked at, judged, and named when they do not count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from capture.scripted import DAY, HOUR, MINUTE, NOON, SOURCE, Play, Scripted, shop, snapshot
from holdfast.errors import (
    BadRequest,
    HoldfastError,
    ProviderMissing,
    ProviderQuota,
    ProviderStuck,
    ProviderUnauthorised,
    SnapshotRefused,
    StorageThrottled,
)
from holdfast.model.points import Kind, Mechanism, PointState, Tier
from holdfast.ports.providers import Capabilities, Progress, Window


def test_the_day_s_own_snapshot_of_the_provider_is_adopted() -> None:
    play = Play(Scripted([snapshot()]))

    captured = play.capture()

    point = play.only()
    assert (captured.done, captured.first, point.state) == (True, True, PointState.INTACT)
    assert (point.mechanism, point.provider_id, point.adopted) == (Mechanism.SNAPSHOT, "rds:prod-1", True)
    assert (point.taken_at, point.bytes_stored) == (NOON - HOUR, 1000)
    assert play.provider.asked == []


def test_a_snapshot_that_is_being_made_is_looked_at_until_it_is_there() -> None:
    play = Play(Scripted([snapshot(progress=Progress.CREATING, taken_at=None)]))

    assert not play.capture().done
    assert play.only().state is PointState.CAPTURING
    play.provider.becomes(progress=Progress.AVAILABLE, taken_at=NOON - MINUTE)

    assert play.capture().done
    assert play.only().taken_at == NOON - MINUTE


def test_an_invocation_that_another_one_overtakes_answers_that_the_point_is_intact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = Play(Scripted([snapshot()]))
    advance = play.points.advance

    def overtaken(*arguments: Any, **facts: Any) -> Any:
        monkeypatch.undo()
        assert play.capture().first
        return advance(*arguments, **facts)

    monkeypatch.setattr(play.points, "advance", overtaken)

    late = play.capture()

    assert (late.done, late.first, play.only().state) == (True, False, PointState.INTACT)


def test_without_one_of_the_provider_s_a_snapshot_of_ours_is_asked_for_once() -> None:
    play = Play()

    assert [play.capture().done, play.capture().done] == [False, False]
    play.provider.becomes(progress=Progress.AVAILABLE, taken_at=NOON + MINUTE)
    play.now = NOON + 2 * MINUTE

    assert play.capture().done
    point = play.only()
    assert (point.adopted, point.provider_id) == (False, f"holdfast-{play.provider.asked[0]}")
    assert play.provider.there[0].expires_at == NOON + 30 * DAY
    assert len(play.provider.there) == 1


def test_a_schedule_waits_for_the_provider_that_takes_one_every_day() -> None:
    yesterday = snapshot(id="yesterday", created_at=NOON - 23 * HOUR, taken_at=NOON - 23 * HOUR)
    play = Play(Scripted([yesterday]))

    waiting = play.capture()
    assert (waiting.done, waiting.wait_seconds, play.provider.asked) == (False, 300, [])
    play.now = NOON + HOUR
    play.provider.there.append(snapshot(id="today", created_at=play.now, taken_at=play.now))

    assert play.capture().done
    assert play.only().provider_id == "today"


def test_a_provider_that_fails_to_take_its_own_is_asked_for_one_in_the_end() -> None:
    play = Play(Scripted([snapshot(id="yesterday", created_at=NOON - 23 * HOUR, taken_at=NOON - 23 * HOUR)]))
    assert not play.capture().done

    play.now = NOON + 12 * HOUR
    play.capture()

    assert len(play.provider.asked) == 1


def test_what_was_asked_for_by_a_call_that_was_cut_off_is_the_points_although_another_could_be_adopted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play = Play()

    def cut_off(*_: Any, **__: Any) -> Any:
        monkeypatch.undo()
        raise StorageThrottled("The catalogue is throttled.")

    monkeypatch.setattr(play.points, "note", cut_off)
    with pytest.raises(StorageThrottled):
        play.capture()
    play.provider.there.append(snapshot())

    play.capture()

    assert (play.only().adopted, play.only().provider_id) == (False, f"holdfast-{play.provider.asked[0]}")


def test_a_person_does_not_wait_for_the_provider() -> None:
    play = Play(Scripted([snapshot(id="yesterday", created_at=NOON - 23 * HOUR, taken_at=NOON - 23 * HOUR)]))

    play.capture(scheduled=False)

    assert len(play.provider.asked) == 1


def test_what_is_kept_longer_than_the_provider_keeps_its_own_is_ours() -> None:
    play = Play(Scripted([snapshot()]), shop(tiers={"weekly": {"mechanism": "snapshot"}}))

    play.capture(tier=Tier.WEEKLY)

    assert len(play.provider.asked) == 1


def test_no_snapshot_is_adopted_for_two_days() -> None:
    play = Play(Scripted([snapshot()]))
    play.capture()

    play.capture(scheduled=False, run="by hand")

    assert len(play.provider.asked) == 1


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param({"encrypted": False}, "it is not encrypted", id="not encrypted"),
        pytest.param({"size": 0}, "it is empty", id="empty"),
        pytest.param({"source": "prod-2"}, "it is of prod-2", id="of another database"),
        pytest.param({"taken_at": NOON - DAY}, "too old", id="of the day before"),
        pytest.param({"progress": Progress.FAILED}, "is failed", id="failed"),
        pytest.param({"progress": Progress.DELETING}, "is deleting", id="being deleted"),
    ],
)
def test_a_snapshot_that_the_provider_calls_done_but_is_no_good_does_not_count(
    facts: dict[str, Any], reason: str
) -> None:
    play = Play()
    request = play.request()
    play.capture(request)
    play.provider.becomes(**{"progress": Progress.AVAILABLE, "taken_at": NOON, **facts})

    with pytest.raises(SnapshotRefused, match=reason) as refused:
        play.capture(request)
    point = play.abandon(request, "SnapshotRefused", f'{{"errorMessage": "{refused.value}"}}')

    assert point.state is PointState.FAILED
    assert reason in point.failure


def test_a_snapshot_that_somebody_deletes_meanwhile_is_missed() -> None:
    play = Play()
    play.capture()
    play.provider.there.clear()

    with pytest.raises(SnapshotRefused, match="is gone: somebody deleted it"):
        play.capture()


@pytest.mark.parametrize("tier", [Tier.DAILY, Tier.WEEKLY])
def test_a_snapshot_that_is_never_finished_fails_within_its_tier_s_time(tier: Tier) -> None:
    play = Play(database=shop(tiers={"weekly": {"mechanism": "snapshot"}}))
    play.capture(tier=tier)

    play.now = NOON + 25 * HOUR
    with pytest.raises(ProviderStuck, match=r"holdfast-\d+t\d+z-\w+ is still not available after 1\d\d\d minutes"):
        play.capture(tier=tier)


@pytest.mark.parametrize(
    "error",
    [
        ProviderMissing("RDS knows no prod-1."),
        ProviderUnauthorised("Neon answered 401."),
        ProviderQuota("There may be no more than 100 snapshots."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_provider_refuses_becomes_the_point_s_reason(error: HoldfastError) -> None:
    play = Play(Scripted(raises=error))
    request = play.request()

    with pytest.raises(type(error)):
        play.capture(request)
    point = play.abandon(request, type(error).__name__, str(error))

    assert (point.state, point.failure) == (PointState.FAILED, str(error))
    with pytest.raises(SnapshotRefused, match="has failed before"):
        play.capture(request)


def test_a_failure_before_there_is_a_point_leaves_a_failed_one() -> None:
    play = Play()

    point = play.abandon(play.request(), "States.Timeout", "")

    assert (point.state, point.failure) == (PointState.FAILED, "A step did not answer in time.")


def test_what_fails_later_takes_no_intact_point_back() -> None:
    play = Play(Scripted([snapshot()]))
    request = play.request()
    play.capture(request)

    assert play.abandon(request, "States.Timeout", "").state is PointState.INTACT


def test_two_deliveries_of_a_schedule_make_one_point() -> None:
    play = Play()
    first, second = play.request(run="one"), play.request(run="two")
    play.executions.alive.add(first.execution)
    play.capture(first)

    again = play.capture(second)

    assert (again.done, again.elsewhere, again.point_id) == (True, True, play.only().id)
    assert play.abandon(second, "States.Timeout", "").state is PointState.CAPTURING
    assert len(play.provider.there) == 1


def test_a_delivery_goes_on_where_one_died() -> None:
    play = Play()
    play.capture(run="died")
    play.provider.becomes(progress=Progress.AVAILABLE, taken_at=NOON)

    assert play.capture(run="two").first
    assert play.only().state is PointState.INTACT


def test_a_delivery_that_took_over_answers_for_the_point() -> None:
    play = Play()
    play.capture(run="died")
    second = play.request(run="two")
    play.capture(second)

    assert play.abandon(second, "States.Timeout", "").state is PointState.FAILED


def test_a_delivery_that_comes_late_finds_the_point() -> None:
    play = Play(Scripted([snapshot()]))
    play.capture(run="one")

    late = play.capture(run="two")

    assert (late.done, late.first) == (True, False)


def test_a_moment_of_the_history_is_a_point() -> None:
    play = Play(Scripted(reach=Window(NOON - 8 * DAY, NOON - 5 * MINUTE)))

    captured = play.capture(tier=Tier.HOURLY)

    point = play.only()
    assert (captured.first, point.state, point.mechanism) == (True, PointState.INTACT, Mechanism.HISTORY)
    assert (point.taken_at, point.provider_id) == (NOON - 5 * MINUTE, SOURCE)
    assert "kept for" not in captured.sentence


def test_a_short_history_counts_and_says_how_short_it_is() -> None:
    play = Play(Scripted(reach=Window(NOON - 6 * HOUR, NOON)))

    told = "The history reaches back 6 hours so far; hourly points are to be kept for 7 days."
    assert play.capture(tier=Tier.HOURLY).sentence.endswith(told)
    assert play.only().reason == told


@pytest.mark.parametrize(
    ("reach", "reason"), [(None, "is switched off"), (Window(NOON - DAY, NOON - HOUR), "60 minutes ago")]
)
def test_a_history_that_does_not_reach_to_now_does_not_count(reach: Window | None, reason: str) -> None:
    with pytest.raises(SnapshotRefused, match=reason):
        Play(Scripted(reach=reach)).capture(tier=Tier.HOURLY)


def test_the_history_of_a_database_without_encryption_does_not_count() -> None:
    with pytest.raises(SnapshotRefused, match="The history of prod-1 is no recovery point: it is not encrypted"):
        Play(Scripted(reach=Window(NOON - DAY, NOON), encrypted=False)).capture(tier=Tier.HOURLY)


def test_archives_are_another_machine_s_work() -> None:
    play = Play()
    with pytest.raises(BadRequest, match="Weekly points of shop of the kind full are archives"):
        play.capture(tier=Tier.WEEKLY)
    with pytest.raises(BadRequest, match="of the kind schema are archives"):
        play.capture(play.request().model_copy(update={"kind": Kind.SCHEMA}))
    assert play.points.newest_first("shop") == []


def test_names_of_snapshots_fit_into_identifiers_of_rds() -> None:
    play = Play(database=replace_name(shop(), "a" * 32))
    play.capture(play.request().model_copy(update={"database": "a" * 32}))

    assert len(f"holdfast-{play.provider.asked[0]}-copied") <= 63


def replace_name(database: Any, name: str) -> Any:
    return database.model_copy(update={"name": name})


def test_what_was_adopted_is_not_asked_for_again_when_points_are_many() -> None:
    play = Play(Scripted([snapshot()]))
    play.capture()
    adopted = play.only()
    for hour in range(72):
        moment = NOON + hour * HOUR
        play.points.add(
            replace(adopted, id=f"shop-{moment:%Y%m%dt%H%M%Sz}-{hour:06x}", adopted=False, provider_id=SOURCE)
        )

    play.capture(scheduled=False, run="by hand")

    assert len(play.provider.asked) == 1


def test_a_snapshot_is_copied_to_the_second_region_once_it_counts() -> None:
    play = Play(Scripted([snapshot()], capabilities=Capabilities(second_region=True)), second_region="eu-west-1")

    first, second = play.capture(), play.capture()
    assert (first.first, first.done, second.first, second.done) == (True, False, False, False)
    assert play.only().state is PointState.INTACT
    play.provider.elsewhere = [replace(each, progress=Progress.AVAILABLE) for each in play.provider.elsewhere]

    assert play.capture().done
    point = play.only()
    assert (point.second_region, point.second_id, point.second_at) == ("eu-west-1", "copied", NOON)
    assert play.capture().done
    assert len(play.provider.elsewhere) == 1


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"encrypted": False}, "not encrypted"), ({"progress": Progress.FAILED}, "it is failed")],
    ids=["not encrypted", "failed"],
)
def test_a_copy_that_is_no_good_is_told_and_takes_nothing_from_the_point(facts: dict[str, Any], reason: str) -> None:
    play = Play(Scripted([snapshot()], capabilities=Capabilities(second_region=True)), second_region="eu-west-1")
    request = play.request()
    play.capture(request)
    play.capture(request)
    sound = {"progress": Progress.AVAILABLE}
    play.provider.elsewhere = [replace(each, **{**sound, **facts}) for each in play.provider.elsewhere]

    with pytest.raises(SnapshotRefused, match=reason):
        play.capture(request)
    assert play.abandon(request, "SnapshotRefused", reason).state is PointState.INTACT
    assert (play.only().second_id, play.only().second_at) == ("copied", None), "it is removed with the point"


def test_a_copy_that_is_never_there_is_told() -> None:
    play = Play(Scripted([snapshot()], capabilities=Capabilities(second_region=True)), second_region="eu-west-1")
    play.capture()
    play.now = NOON + 21 * HOUR

    with pytest.raises(ProviderStuck, match="in eu-west-1 is still not available"):
        play.capture()


def test_where_the_provider_keeps_its_snapshots_to_itself_none_is_copied() -> None:
    assert Play(Scripted([snapshot()]), second_region="eu-west-1").capture().done


@pytest.mark.parametrize(("used", "refused"), [(94, False), (95, True), (100, True)])
def test_the_last_snapshots_of_a_quota_are_left_to_people(used: int, refused: bool) -> None:
    play = Play(Scripted(used=used))

    if refused:
        with pytest.raises(ProviderQuota, match=f"There are {used} manual snapshots of 100; the last 5 are left"):
            play.capture()
        assert play.provider.asked == []
        return
    assert not play.capture().done
    play.provider.used = 100
    assert not play.capture().done, "what was asked for before is looked at"
