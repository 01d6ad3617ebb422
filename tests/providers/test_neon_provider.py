"""What is Neon's own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from tests.providers.worlds import NeonWorld, available, neon, until

from holdfast.errors import (
    ProviderBusy,
    ProviderMissing,
    ProviderQuota,
    ProviderRefused,
    ProviderUnreachable,
    UnexpectedState,
)
from holdfast.model.provider_settings import PROTECTED, SNAPSHOT_HOUR, Setting
from holdfast.ports.providers import Progress
from holdfast_local.neon import Fault

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_neon_removes_a_copy_by_itself_when_nobody_does(hollow_neon: NeonWorld) -> None:
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    assert hollow_neon.provider.create_copy("frozen", expires_at=expires).expires_at == expires

    copy = hollow_neon.provider.create_copy("long", expires_at=datetime.now(UTC) + timedelta(days=90))
    assert copy.expires_at is not None
    assert copy.expires_at < datetime.now(UTC) + timedelta(days=30)


def test_a_running_operation_is_waited_for(hollow_neon: NeonWorld) -> None:
    hollow_neon.provider.create_copy("one")
    hollow_neon.provider.create_copy("two")  # Neon answers 423 until the first one is made

    assert {each.name for each in hollow_neon.provider.copies()} == {"one", "two"}


def test_a_project_that_stays_busy_is_left_to_the_state_machine(hollow_neon: NeonWorld) -> None:
    hollow_neon.twin.api.faults.append(Fault(status=423, message="running conflicting operations", times=100))
    with pytest.raises(ProviderBusy, match="conflicting"):
        neon(hollow_neon.twin, patience=0.5).window()


def test_silence_counts_as_waiting(hollow_neon: NeonWorld) -> None:
    hollow_neon.twin.api.faults.append(Fault(status=500, times=100))
    moments = count()
    slow = neon(hollow_neon.twin, sleep=lambda _: None, now=lambda: NOON + timedelta(seconds=12 * next(moments)))

    with pytest.raises(ProviderUnreachable):
        slow.window()
    assert hollow_neon.twin.api.faults[0].times == 97


@pytest.mark.parametrize("status", [500, 502, 524])
def test_a_broken_api_is_asked_again_only_for_what_it_reads(hollow_neon: NeonWorld, status: int) -> None:
    hollow_neon.twin.api.faults.append(Fault(status=status, times=2))
    assert hollow_neon.provider.window() is not None

    hollow_neon.twin.api.faults.append(Fault(status=status, method="POST", times=1))
    with pytest.raises(ProviderUnreachable):
        hollow_neon.provider.create_copy("once")
    assert [each for each in hollow_neon.twin.api.exchanges if each.method == "POST"] == []
    assert hollow_neon.provider.copies() == ()


def test_too_many_requests_wait_as_long_as_asked(hollow_neon: NeonWorld) -> None:
    waits: list[float] = []
    hollow_neon.twin.api.faults.append(Fault(status=429, headers={"Retry-After": "7"}))

    assert neon(hollow_neon.twin, sleep=waits.append).window() is not None
    assert waits == [7.0]


def test_an_answer_that_is_no_json_is_no_answer(hollow_neon: NeonWorld) -> None:
    hollow_neon.twin.api.faults.append(Fault(status=200, raw=b"<html>"))
    with pytest.raises(UnexpectedState, match="no JSON object"):
        hollow_neon.provider.window()


def test_copies_of_a_protected_branch_have_passwords_of_their_own(neon_world: NeonWorld) -> None:
    source = neon_world.provider.source()
    neon_world.call("PATCH", f"/branches/{source}", {"branch": {"protected": True}})
    neon_world.settle()
    neon_world.provider.create_copy("of-protected")
    copy = available(neon_world, "of-protected")

    assert neon_world.run("SELECT 1", copy.id) == 1
    assert neon_world.provider.login(copy.id).password != neon_world.provider.login(source).password


def protect(world: NeonWorld) -> str:
    source = world.provider.source()
    world.call("PATCH", f"/branches/{source}", {"branch": {"protected": True}})
    world.settle()
    return source


def is_protected(world: NeonWorld) -> bool:
    return any(each == Setting(PROTECTED, value=True) for each in world.provider.settings())


def changes_of(world: NeonWorld) -> list[str]:
    made = [each for each in world.twin.api.exchanges if each.method != "GET" and each.status < 400]
    return [f"{each.method} {each.path.rpartition('/')[2]}" for each in made]


def test_a_protected_branch_is_put_back_in_place_and_is_protected_again(neon_world: NeonWorld) -> None:
    neon_world.run("CREATE TABLE notes AS SELECT g FROM generate_series(1, 100) g")
    before = neon_world.run("SELECT clock_timestamp()")
    neon_world.run("DELETE FROM notes")
    source = protect(neon_world)
    address = neon_world.provider.login(source)

    def asked() -> Progress:
        return neon_world.provider.restore_in_place(before, keep_as="before-the-restore", protect=True)

    assert asked() is Progress.CREATING
    until(lambda: asked() is Progress.AVAILABLE)

    assert neon_world.run("SELECT count(*) FROM notes") == 100
    assert neon_world.provider.login(neon_world.provider.source()) == address
    assert is_protected(neon_world)
    neon_world.settle()
    assert asked() is Progress.AVAILABLE
    assert changes_of(neon_world)[1:] == [f"PATCH {source}", "POST restore", f"PATCH {source}"]
    kept = next(each for each in neon_world.twin.project.branches.values() if each.name == "before-the-restore")
    assert kept.is_root


def test_a_restore_that_neon_refuses_leaves_the_branch_protected(hollow_neon: NeonWorld) -> None:
    protect(hollow_neon)

    with pytest.raises(ProviderRefused, match="outside of the history"):
        hollow_neon.provider.restore_in_place(
            datetime.now(UTC) - timedelta(days=40), keep_as="before-the-restore", protect=True
        )

    hollow_neon.settle()
    assert is_protected(hollow_neon)


def test_a_restore_that_fails_on_the_way_leaves_the_branch_protected(hollow_neon: NeonWorld) -> None:
    before = datetime.now(UTC)
    source = protect(hollow_neon)
    hollow_neon.call("PATCH", f"/branches/{source}", {"branch": {"protected": False}})
    hollow_neon.settle()

    def asked() -> Progress:
        return hollow_neon.provider.restore_in_place(before, keep_as="before-the-restore", protect=True)

    hollow_neon.break_next()
    assert asked() is Progress.CREATING
    until(lambda: asked() is Progress.FAILED)

    hollow_neon.settle()
    assert is_protected(hollow_neon)


def test_a_plan_without_room_for_what_a_restore_preserves_is_told_before_anything(hollow_neon: NeonWorld) -> None:
    protect(hollow_neon)
    project = hollow_neon.twin.project
    for number in range(4):
        project.branches[f"br-{number}"] = replace(project.default(), id=f"br-{number}", name=f"old-{number}")
        project.branches[f"br-{number}"].default, project.branches[f"br-{number}"].storage = False, None
    before = changes_of(hollow_neon)

    with pytest.raises(ProviderQuota, match="5 root branches, and its plan allows 5"):
        hollow_neon.provider.restore_in_place(datetime.now(UTC), keep_as="before-the-restore", protect=True)
    assert changes_of(hollow_neon) == before


def test_an_operation_that_neon_tries_again_goes_on_until_there_is_no_news_for_minutes(hollow_neon: NeonWorld) -> None:
    hollow_neon.provider.create_copy("slow")
    hollow_neon.settle()
    newest = hollow_neon.twin.project.operations.all()[0]
    newest.status = "failed"

    assert hollow_neon.provider.copies()[0].progress is Progress.CREATING
    newest.ended_at = datetime.now(UTC) - timedelta(minutes=6)
    assert hollow_neon.provider.copies()[0].progress is Progress.FAILED


def test_a_schedule_keeps_the_lines_that_are_not_ours(hollow_neon: NeonWorld) -> None:
    source = hollow_neon.provider.source()
    weekly = {"frequency": "weekly", "day": 7, "hour": 4}
    hollow_neon.call("PUT", f"/branches/{source}/backup_schedule", {"schedule": [weekly]})

    hollow_neon.provider.apply([Setting(SNAPSHOT_HOUR, 2)])

    daily = {"frequency": "daily", "hour": 2, "retention_seconds": 3_024_000}
    assert hollow_neon.twin.project.schedules[source] == [weekly, daily]


def test_changes_of_a_project_wait_for_their_turn(hollow_neon: NeonWorld) -> None:
    def busy() -> AbstractContextManager[None]:
        raise ProviderBusy("Another function is changing neon/p at this moment.")

    provider = neon(hollow_neon.twin, turn=busy)

    assert provider.snapshots() == ()
    for change in (lambda: provider.create_snapshot("s"), lambda: provider.create_copy("c")):
        with pytest.raises(ProviderBusy, match="Another function"):
            change()
    assert changes_of(hollow_neon) == []


def test_a_branch_is_found_by_its_name_as_by_its_id(hollow_neon: NeonWorld) -> None:
    source = hollow_neon.provider.source()

    assert neon(hollow_neon.twin, branch="main").source() == neon(hollow_neon.twin, branch=source).source() == source
    with pytest.raises(ProviderMissing, match="no branch other"):
        neon(hollow_neon.twin, branch="other").source()
