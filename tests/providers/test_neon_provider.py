"""What Holdfast asks of Neon, over the twin: real HTTP, real servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.providers.conftest import World, provider, until

from holdfast.errors import (
    ProviderBusy,
    ProviderMissing,
    ProviderQuota,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
)
from holdfast.ports.providers import Copy, Progress
from holdfast_local.neon import Fault


def _available(world: World, name: str) -> Copy:
    def ready() -> bool:
        return any(each.name == name and each.progress is Progress.AVAILABLE for each in world.neon.copies())

    until(ready)
    return next(each for each in world.neon.copies() if each.name == name)


def test_rows_deleted_a_moment_ago_are_in_a_copy_of_the_moment_before(world: World) -> None:
    world.run("CREATE TABLE notes AS SELECT g FROM generate_series(1, 1000) g")
    before = world.run("SELECT clock_timestamp()")
    world.run("DELETE FROM notes")

    world.neon.create_copy("rescue", at=before)
    copy = _available(world, "rescue")

    assert world.run("SELECT count(*) FROM notes", copy.id) == 1000
    assert world.run("SELECT count(*) FROM notes") == 0
    assert copy.moment == before


def test_a_copy_is_made_once_and_removed_once(world: World) -> None:
    expires = datetime.now(UTC) + timedelta(hours=3)
    first = world.neon.create_copy("frozen", expires_at=expires)
    again = world.neon.create_copy("frozen", expires_at=expires)
    copy = _available(world, "frozen")

    assert (first.id, again.id, len(world.neon.copies())) == (copy.id, copy.id, 1)
    assert copy.expires_at == expires
    assert world.neon.delete_copy(copy.id)
    world.settle()
    assert not world.neon.delete_copy(copy.id)
    assert world.neon.copies() == ()


def test_only_our_own_branches_are_deleted(world: World) -> None:
    with pytest.raises(ProviderRefused, match="not a copy of Holdfast's"):
        world.neon.delete_copy(world.neon.source())


def test_a_snapshot_keeps_what_is_deleted_later(world: World) -> None:
    world.run("CREATE TABLE notes AS SELECT 1 AS g")
    made = world.neon.create_snapshot("monday")
    assert made.progress is Progress.CREATING
    until(lambda: world.neon.snapshots()[0].progress is Progress.AVAILABLE)
    world.run("DROP TABLE notes")

    world.neon.create_copy("from-monday", snapshot_id=made.id)
    copy = _available(world, "from-monday")

    assert world.run("SELECT count(*) FROM notes", copy.id) == 1
    assert world.neon.create_snapshot("monday").id == made.id
    world.settle()
    assert world.neon.delete_snapshot(made.id)
    world.settle()
    assert not world.neon.delete_snapshot(made.id)


def test_a_failed_operation_is_told_of_its_copy(world: World) -> None:
    world.twin.project.operations.fail_next("the storage is full")
    world.neon.create_copy("broken")
    world.settle()

    assert [each.progress for each in world.neon.copies()] == [Progress.FAILED]


def test_the_window_is_what_the_project_keeps(world: World) -> None:
    window = world.neon.window()
    assert window is not None
    assert window.earliest <= window.latest <= datetime.now(UTC)

    world.call("PATCH", "", {"project": {"history_retention_seconds": 0}})
    assert world.neon.window() is None


def test_a_moment_outside_the_history_is_refused_with_neons_reason(world: World) -> None:
    with pytest.raises(ProviderRefused, match="outside of the history"):
        world.neon.create_copy("old", at=datetime.now(UTC) - timedelta(days=40))


def test_the_quota_is_named(world: World) -> None:
    for number in range(3):
        world.neon.create_snapshot(f"s{number}")
    with pytest.raises(ProviderQuota, match="snapshots limit"):
        world.neon.create_snapshot("one too many")


def test_a_running_operation_is_waited_for(world: World) -> None:
    world.neon.create_copy("one")
    world.neon.create_copy("two")  # Neon answers 423 until the first one is made

    assert {each.name for each in world.neon.copies()} == {"one", "two"}


def test_a_project_that_stays_busy_is_left_to_the_state_machine(world: World) -> None:
    world.twin.api.faults.append(Fault(status=423, message="running conflicting operations", times=100))
    with pytest.raises(ProviderBusy, match="conflicting"):
        provider(world.twin, patience=0.5).window()


@pytest.mark.parametrize("status", [500, 502, 524])
def test_a_broken_api_is_asked_again_only_for_what_it_reads(world: World, status: int) -> None:
    world.twin.api.faults.append(Fault(status=status, times=2))
    assert world.neon.window() is not None

    world.twin.api.faults.append(Fault(status=status, method="POST", times=1))
    with pytest.raises(ProviderUnreachable):
        world.neon.create_copy("once")
    assert [each for each in world.twin.api.exchanges if each.method == "POST"] == []
    assert world.neon.copies() == ()


def test_too_many_requests_wait_as_long_as_asked(world: World) -> None:
    waits: list[float] = []
    world.neon._http._sleep = waits.append
    world.twin.api.faults.append(Fault(status=429, headers={"Retry-After": "7"}))

    assert world.neon.window() is not None
    assert waits == [7.0]


def test_a_revoked_key_is_said_so(world: World) -> None:
    world.twin.api.revoke()
    with pytest.raises(ProviderUnauthorised, match="401"):
        world.neon.window()


def test_a_project_that_is_gone_is_said_so(world: World) -> None:
    world.twin.project.id = "another"
    with pytest.raises(ProviderMissing):
        world.neon.window()


def test_an_answer_that_is_no_json_is_no_answer(world: World) -> None:
    world.twin.api.faults.append(Fault(status=200, raw=b"<html>"))
    with pytest.raises(Exception, match="no JSON object"):
        world.neon.window()


def test_copies_of_a_protected_branch_have_passwords_of_their_own(world: World) -> None:
    source = world.neon.source()
    world.call("PATCH", f"/branches/{source}", {"branch": {"protected": True}})
    world.settle()
    world.neon.create_copy("of-protected")
    copy = _available(world, "of-protected")

    assert world.run("SELECT 1", copy.id) == 1
    assert world.neon.login(copy.id).url.split("@")[0] != world.neon.login(source).url.split("@")[0]


def test_a_login_shows_no_password(world: World) -> None:
    login = world.neon.login(world.neon.source())
    assert "postgresql://" in login.url
    assert "postgresql" not in repr(login)
