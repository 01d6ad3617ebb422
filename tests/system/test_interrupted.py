"""What happens in the middle of a run: functions killed, executions stopped, two runs at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from system.world import TOKENS, Done, World, until

pytestmark = pytest.mark.xdist_group("system-2")

ATTEMPTS = 4
"""How often a state runs a function that ends unexpectedly: once, and three retries."""
SECONDS = 30
"""Within how many seconds after a run nothing of it may be left."""


@dataclass(kw_only=True)
class Ending:
    """How a story ended: its *run*, what a look at the database's catalogue found, and calls of the command."""

    run: Any
    points: list[dict[str, Any]]
    lock: Any
    holds: int
    sessions: list[str]
    calls: dict[str, Done] = field(default_factory=dict)
    chunks: list[dict[str, str]] = field(default_factory=list)
    command_lines: list[bytes] = field(default_factory=list)


def settled(world: World, database: str, run: Any) -> Ending:
    """Wait until nothing of the run is left, at most `SECONDS`, and look."""
    with contextlib.suppress(AssertionError):  # what is left then is told below
        until(lambda: not world.sessions(database), SECONDS, "the end of the sessions")
    return Ending(
        run=run,
        points=world.points(database),
        lock=world.system.points.lock_holder(database),
        holds=len(world.system.holds.open(database)),
        sessions=world.sessions(database),
    )


def killed(world: World) -> Ending:
    """Kill the copying function until no retry is left, then let the backup run again."""
    relay = world.relays["killed"]
    execution = world.start("backup", database="killed")
    for _ in range(ATTEMPTS):
        relay.await_stall()
        until(lambda: bool(world.chunks("killed")), SECONDS, "the first table's chunk")
        relay.kill("holdfast dump")
    ending = settled(world, "killed", world.ended(execution))
    ending.calls["watch"] = world.holdfast("--local", "watch", ending.run.name)
    ending.chunks.append(world.chunks("killed"))
    relay.open()
    ending.calls["again"] = world.holdfast("--local", "--json", "backup", "killed", "--wait")
    ending.chunks.append(world.chunks("killed"))
    return ending


def silent(world: World) -> Ending:
    """Kill the holder of the snapshot while rows are copied."""
    relay = world.relays["silent"]
    execution = world.start("backup", database="silent")
    relay.await_stall()
    relay.kill("holdfast hold")
    run = world.ended(execution)
    relay.open()
    ending = settled(world, "silent", run)
    ending.calls["watch"] = world.holdfast("--local", "watch", run.name)
    return ending


def stopped(world: World) -> Ending:
    """Stop a running backup's execution and start the next."""
    relay = world.relays["stopped"]
    execution = world.start("backup", database="stopped")
    relay.await_stall()
    world.system.client("stepfunctions").stop_execution(executionArn=execution)
    relay.open()
    again = world.holdfast("--local", "--json", "backup", "stopped", "--wait")
    ending = settled(world, "stopped", world.ended(execution))
    ending.calls = {"watch": world.holdfast("--local", "watch", ending.run.name), "again": again}
    return ending


def twice(world: World) -> Ending:
    """Start a second backup, by the command and by hand, while the first is copying."""
    relay = world.relays["twice"]
    execution = world.start("backup", database="twice")
    relay.await_stall()
    command_lines = relay.command_lines("holdfast dump")
    calls = {
        "second": world.holdfast("--local", "backup", "twice", "--wait"),
        "status": world.holdfast("--local", "--json", "status", "twice"),
    }
    (point,) = world.points("twice")
    calls["restore"] = world.holdfast("--local", "restore", "twice", "--point", point["id"], "--into", "unfinished")
    calls["verify"] = world.holdfast("--local", "verify", point["id"])
    by_hand = world.ended(world.start("backup", database="twice"))
    calls["by hand"] = world.holdfast("--local", "watch", by_hand.name)
    relay.open()
    ending = settled(world, "twice", world.ended(execution))
    ending.calls, ending.command_lines = calls, command_lines
    return ending


def loaded(world: World) -> Ending:
    """Kill the loading function in the middle of a table, once, while a second restore wants the same target."""
    relay = world.relays["loaded"]
    world.backup("loaded")
    execution = world.start("restore", database="loaded", into="loaded_again")
    relay.await_stall()
    point = world.points("loaded")[0]["id"]
    same = ("--local", "restore", "loaded", "--point", point, "--into", "loaded_again", "--wait")
    second = world.holdfast(*same)
    relay.kill("holdfast restore load")
    relay.open()
    ending = settled(world, "loaded", world.ended(execution))
    ending.calls = {"second": second, "afterwards": world.holdfast(*same)}
    return ending


STORIES: tuple[Callable[[World], Ending], ...] = (silent, killed, loaded, stopped, twice)
Stories = Callable[[Callable[[World], Ending]], Ending]


@pytest.fixture(scope="module")
def story(world: World) -> Iterator[Stories]:
    """Begin all stories at once: they wait most of the time, and each has a database of its own."""
    with ThreadPoolExecutor(len(STORIES)) as pool:
        begun: dict[str, Future[Ending]] = {each.__name__: pool.submit(each, world) for each in STORIES}
        yield lambda wanted: begun[wanted.__name__].result()


def test_a_copy_killed_again_and_again_fails_the_point_with_its_reason(story: Stories) -> None:
    ending = story(killed)

    assert ending.run.status == "FAILED"
    assert ending.calls["watch"].code == 1
    assert "ended unexpectedly" in ending.calls["watch"].said
    assert [point["state"] for point in ending.points] == ["failed"]
    assert ending.points[0]["failure"] == "A function was killed or ended by itself, each time it was tried."


def test_a_backup_after_a_killed_one_stores_no_chunk_again(story: Stories) -> None:
    ending = story(killed)
    before, after = ending.chunks

    assert ending.calls["again"].code == 0, ending.calls["again"].said
    assert before
    assert before.items() < after.items()
    assert all(len(versions.split()) == 1 for versions in after.values())
    point = ending.calls["again"].json["point"]
    assert point["state"] == "intact"
    assert 0 < point["bytes_new"] < point["bytes_stored"]


def test_a_holder_that_is_killed_loses_the_snapshot_and_fails_the_point(story: Stories) -> None:
    ending = story(silent)

    assert ending.run.status == "FAILED"
    assert ending.run.error == "SnapshotLost"
    assert ending.calls["watch"].code == 1
    assert "sent no sign of life" in ending.calls["watch"].said
    assert [point["state"] for point in ending.points] == ["failed"]
    assert "sent no sign of life" in ending.points[0]["failure"]


def test_a_stopped_backup_is_taken_over_by_the_next(story: Stories) -> None:
    ending = story(stopped)

    assert ending.run.status == "ABORTED"
    assert ending.calls["watch"].code == 1
    assert ending.calls["again"].code == 0, ending.calls["again"].said
    assert [point["state"] for point in ending.points] == ["intact", "failed"]
    assert ending.points[1]["failure"] == "Its execution ended before the backup did."


def test_a_second_backup_is_refused_and_told_which_one_runs(story: Stories) -> None:
    ending = story(twice)

    assert ending.calls["second"].code == 5
    assert "A backup of twice is running already." in ending.calls["second"].said
    assert f"watch {ending.run.name}" in ending.calls["second"].said


def test_a_second_backup_started_by_hand_fails_and_names_the_point_that_is_taken(story: Stories) -> None:
    ending = story(twice)

    assert ending.calls["by hand"].code == 5
    assert ending.points[0]["id"] in ending.calls["by hand"].said


def test_the_first_of_two_backups_ends_intact(story: Stories) -> None:
    ending = story(twice)

    assert ending.run.status == "SUCCEEDED"
    assert [point["state"] for point in ending.points] == ["intact"]


def test_the_status_shows_what_runs_and_what_is_held(story: Stories) -> None:
    ending = story(twice)

    found = ending.calls["status"].json
    assert [run["execution"] for run in found["runs"]] == [ending.run.arn]
    assert [hold["point_id"] for hold in found["databases"][0]["holds"]] == [ending.points[0]["id"]]
    assert found["databases"][0]["newest"]["state"] == "capturing"


def test_no_command_line_of_a_running_copy_holds_a_password(story: Stories) -> None:
    ending = story(twice)

    assert any(b"psql" in line for line in ending.command_lines)
    assert [line for line in ending.command_lines for token in TOKENS if token.encode() in line] == []


def test_an_unfinished_point_is_neither_restored_nor_verified(world: World, story: Stories) -> None:
    ending = story(twice)

    assert ending.calls["restore"].code == 5
    assert f"{ending.points[0]['id']} is capturing; only intact and proven ones" in ending.calls["restore"].said
    assert ending.calls["verify"].code == 2
    assert "`holdfast --local points twice` lists the others." in ending.calls["verify"].said
    assert not world.exists("unfinished")


def test_a_load_that_is_killed_is_repeated_and_proven(world: World, story: Stories) -> None:
    ending = story(loaded)

    assert ending.run.status == "SUCCEEDED", ending.run.cause
    assert ending.run.output["proof"]["proven"]
    assert [point["state"] for point in ending.points] == ["proven"]
    assert world.query("main", "loaded_again", "SELECT count(*) FROM lines") == [(5000,)]


def test_a_second_restore_into_the_same_target_is_refused(story: Stories) -> None:
    ending = story(loaded)

    assert ending.calls["second"].code == 5
    assert "loaded_again" in ending.calls["second"].said
    assert "Wait for it, or restore into another name." in ending.calls["second"].said


def test_a_restored_database_is_never_restored_over(story: Stories) -> None:
    ending = story(loaded)

    assert ending.calls["afterwards"].code == 5
    assert "The database loaded_again holds" in ending.calls["afterwards"].said
    assert "Restore into a new name" in ending.calls["afterwards"].said


@pytest.mark.parametrize("told", STORIES)
def test_nothing_stays_open_or_locked_after_a_run(story: Stories, told: Callable[[World], Ending]) -> None:
    ending = story(told)

    assert ending.sessions == []
    assert ending.holds == 0
    assert ending.lock is None
