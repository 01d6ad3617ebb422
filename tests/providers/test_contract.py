"""What Holdfast may rely on with every provider: real messages, real servers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.providers.worlds import MOST_SNAPSHOTS, World, available, until

from holdfast.errors import (
    BadRequest,
    ProviderBusy,
    ProviderMissing,
    ProviderQuota,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
)
from holdfast.model.provider_settings import Setting, Wanted, changes, judge
from holdfast.ports.providers import Copy, Progress


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


def test_a_lasting_copy_takes_the_sources_place_and_is_never_removed(hollow: World) -> None:
    def asked() -> Copy:
        return hollow.provider.create_copy("next", lasting=True)

    until(lambda: asked().progress is Progress.AVAILABLE)

    copy = asked()
    assert copy.name == "next"
    assert hollow.provider.copies() == ()
    with pytest.raises(ProviderRefused, match="not a copy of Holdfast's"):
        hollow.provider.delete_copy(copy.id)


def test_settings_are_good_once_the_changes_are_applied(hollow: World) -> None:
    wanted = Wanted(history=timedelta(days=14), second_region="eu-west-1", snapshot_keep=timedelta(days=30))
    before = changes(judge(hollow.provider.settings(), wanted))
    assert before

    hollow.provider.apply(before)
    hollow.settle()

    assert changes(judge(hollow.provider.settings(), wanted)) == ()
    with pytest.raises(BadRequest, match="no setting colour"):
        hollow.provider.apply([Setting("colour", "blue")])


def test_the_description_is_json_without_secrets_or_addresses(hollow: World) -> None:
    told = json.dumps(hollow.provider.description())

    assert '"provider"' in told
    assert not [each for each in [*hollow.secrets(), "127.0.0.1", ".neon.tech"] if each in told]


def test_what_is_not_ours_is_never_deleted(hollow: World) -> None:
    with pytest.raises(ProviderRefused, match="not a copy of Holdfast's"):
        hollow.provider.delete_copy(hollow.provider.source())


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


def test_a_snapshot_is_taken_once_and_deleted_once(hollow: World) -> None:
    made = hollow.provider.create_snapshot("monday")
    hollow.settle()
    assert hollow.provider.create_snapshot("monday").id == made.id
    assert hollow.provider.delete_snapshot(made.id)
    hollow.settle()
    assert not hollow.provider.delete_snapshot(made.id)
    assert hollow.provider.snapshots() == ()


def test_a_copy_that_failed_is_told_so(hollow: World) -> None:
    hollow.break_next()
    hollow.provider.create_copy("broken")
    hollow.settle()

    assert [each.progress for each in hollow.provider.copies()] == [Progress.FAILED]


def test_a_snapshot_that_failed_is_told_so(hollow: World) -> None:
    hollow.break_next()
    hollow.provider.create_snapshot("broken")
    hollow.settle()

    assert [each.progress for each in hollow.provider.snapshots()] == [Progress.FAILED]


def test_the_window_reaches_to_now_unless_history_is_off(hollow: World) -> None:
    window = hollow.provider.window()
    assert window is not None
    assert window.earliest <= window.latest <= datetime.now(UTC)

    hollow.switch_history_off()
    assert hollow.provider.window() is None


def test_a_moment_outside_the_history_is_refused(hollow: World) -> None:
    with pytest.raises(ProviderRefused, match="outside of the"):
        hollow.provider.create_copy("old", at=datetime.now(UTC) - timedelta(days=40))
    assert hollow.provider.copies() == ()


def test_the_quota_of_snapshots_is_named(hollow: World) -> None:
    for number in range(MOST_SNAPSHOTS):
        hollow.provider.create_snapshot(f"s{number}")
        hollow.settle()
    assert hollow.provider.quota().used == MOST_SNAPSHOTS
    with pytest.raises(ProviderQuota):
        hollow.provider.create_snapshot("one-too-many")


def test_a_provider_that_wants_fewer_requests_is_busy(hollow: World) -> None:
    hollow.refuse(429, times=100)
    with pytest.raises(ProviderBusy):
        hollow.provider.source()


def test_a_broken_api_is_out_of_reach(hollow: World) -> None:
    hollow.refuse(500, times=100)
    with pytest.raises(ProviderUnreachable):
        hollow.provider.source()


def test_credentials_that_are_no_longer_accepted_are_said_so(hollow: World) -> None:
    hollow.forbid()
    with pytest.raises(ProviderUnauthorised):
        hollow.provider.source()


def test_a_database_that_is_gone_is_said_so(hollow: World) -> None:
    hollow.lose()
    with pytest.raises(ProviderMissing):
        hollow.provider.source()


def test_a_login_shows_no_password(hollow: World) -> None:
    login = hollow.provider.login(hollow.provider.source())
    assert "password" not in repr(login)
