"""What Holdfast may rely on with every provider: real messages, real servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.providers.worlds import MOST_SNAPSHOTS, World, available, until

from holdfast.errors import (
    ProviderBusy,
    ProviderMissing,
    ProviderQuota,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
)
from holdfast.ports.providers import Progress


def test_rows_deleted_a_moment_ago_are_in_a_copy_of_the_moment_before(world: World) -> None:
    world.run("CREATE TABLE notes AS SELECT g FROM generate_series(1, 1000) g")
    before = world.run("SELECT clock_timestamp()")
    world.run("DELETE FROM notes")

    world.provider.create_copy("rescue", at=before)
    copy = available(world, "rescue")

    assert world.run("SELECT count(*) FROM notes", copy.id) == 1000
    assert world.run("SELECT count(*) FROM notes") == 0


def test_a_copy_of_now_is_made_once_and_removed_once(world: World) -> None:
    world.run("CREATE TABLE notes AS SELECT 1 AS g")
    first = world.provider.create_copy("frozen", expires_at=datetime.now(UTC) + timedelta(hours=3))
    again = world.provider.create_copy("frozen")
    copy = available(world, "frozen")
    assert (first.id, again.id, len(world.provider.copies())) == (copy.id, copy.id, 1)

    world.run("DELETE FROM notes")
    assert world.run("SELECT count(*) FROM notes", copy.id) == 1
    world.run("DROP TABLE notes", copy.id)  # it is a copy

    assert world.provider.delete_copy(copy.id)
    world.settle()
    assert not world.provider.delete_copy(copy.id)
    assert world.provider.copies() == ()


def test_what_is_not_ours_is_never_deleted(world: World) -> None:
    with pytest.raises(ProviderRefused, match="not a copy of Holdfast's"):
        world.provider.delete_copy(world.provider.source())


def test_a_snapshot_keeps_what_is_deleted_later(world: World) -> None:
    world.run("CREATE TABLE notes AS SELECT 1 AS g")
    made = world.provider.create_snapshot("monday")
    assert made.progress is Progress.CREATING
    until(lambda: world.provider.snapshots()[0].progress is Progress.AVAILABLE)
    (snapshot,) = world.provider.snapshots()
    assert (snapshot.name, snapshot.encrypted, snapshot.manual) == ("monday", True, True)
    assert snapshot.taken_at is not None
    world.run("DROP TABLE notes")

    world.provider.create_copy("from-monday", snapshot_id=made.id)
    copy = available(world, "from-monday")

    assert world.run("SELECT count(*) FROM notes", copy.id) == 1


def test_a_snapshot_is_taken_once_and_deleted_once(world: World) -> None:
    made = world.provider.create_snapshot("monday")
    world.settle()
    assert world.provider.create_snapshot("monday").id == made.id
    assert world.provider.delete_snapshot(made.id)
    world.settle()
    assert not world.provider.delete_snapshot(made.id)
    assert world.provider.snapshots() == ()


def test_a_copy_that_failed_is_told_so(world: World) -> None:
    world.break_next()
    world.provider.create_copy("broken")
    world.settle()

    assert [each.progress for each in world.provider.copies()] == [Progress.FAILED]


def test_a_snapshot_that_failed_is_told_so(world: World) -> None:
    world.break_next()
    world.provider.create_snapshot("broken")
    world.settle()

    assert [each.progress for each in world.provider.snapshots()] == [Progress.FAILED]


def test_the_window_reaches_to_now_unless_history_is_off(world: World) -> None:
    window = world.provider.window()
    assert window is not None
    assert window.earliest <= window.latest <= datetime.now(UTC)

    world.switch_history_off()
    assert world.provider.window() is None


def test_a_moment_outside_the_history_is_refused(world: World) -> None:
    with pytest.raises(ProviderRefused, match="outside of the"):
        world.provider.create_copy("old", at=datetime.now(UTC) - timedelta(days=40))
    assert world.provider.copies() == ()


def test_the_quota_of_snapshots_is_named(world: World) -> None:
    for number in range(MOST_SNAPSHOTS):
        world.provider.create_snapshot(f"s{number}")
        world.settle()
    with pytest.raises(ProviderQuota):
        world.provider.create_snapshot("one-too-many")


def test_a_provider_that_wants_fewer_requests_is_busy(world: World) -> None:
    world.refuse(429, times=100)
    with pytest.raises(ProviderBusy):
        world.provider.source()


def test_a_broken_api_is_out_of_reach(world: World) -> None:
    world.refuse(500, times=100)
    with pytest.raises(ProviderUnreachable):
        world.provider.source()


def test_credentials_that_are_no_longer_accepted_are_said_so(world: World) -> None:
    world.forbid()
    with pytest.raises(ProviderUnauthorised):
        world.provider.source()


def test_a_database_that_is_gone_is_said_so(world: World) -> None:
    world.lose()
    with pytest.raises(ProviderMissing):
        world.provider.source()


def test_a_login_shows_no_password(world: World) -> None:
    login = world.provider.login(world.provider.source())
    assert "password" not in repr(login)
