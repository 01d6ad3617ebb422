"""Points that are taken and restored: by the command, by a schedule, by hand, to other versions and servers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdfast_local.cloud.fire import fire, schedules
from system.world import World

pytestmark = pytest.mark.xdist_group("system-1")

DATABASES = ("shop", "small", "secure", "legacy")
DOCUMENT = Path(__file__).parents[2] / "docs" / "restore-input.md"
Taken = Callable[[str], str]


@pytest.fixture(scope="module")
def taken(world: World) -> Iterator[Taken]:
    """Back up all databases at once; return how to get the id of one's intact point."""
    with ThreadPoolExecutor(len(DATABASES)) as pool:
        points = {name: pool.submit(world.backup, name) for name in DATABASES}
        yield lambda name: points[name].result()


def documented() -> list[dict[str, Any]]:
    """Return the inputs of the restore machine that its page gives as examples."""
    return [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)]


def contents(world: World, database: str) -> list[tuple[Any, ...]]:
    """Return what would differ if somebody had changed *database* of the main server."""
    return world.query("main", database, "SELECT oid, relname, relfilenode FROM pg_class ORDER BY oid")


def test_a_database_behind_a_verified_certificate_is_backed_up(world: World, taken: Taken) -> None:
    point = taken("secure")

    found = world.holdfast("--local", "--json", "show", point).json["point"]
    assert found["state"] == "intact"
    assert found["server_version"] // 10_000 == 17


def test_a_point_of_postgresql_15_is_restored_and_proven_on_18(world: World, taken: Taken) -> None:
    point = taken("legacy")

    told = world.restore("legacy", "legacy_on_18", "--point", point, "--target-secret", "spare")

    assert told["proof"]["proven"]
    assert told["proof"]["tables"] == 2
    assert [each["state"] for each in world.points("legacy")] == ["proven"]
    assert world.query("main", "legacy_on_18", "SELECT count(*), sum(total) FROM orders") == world.query(
        "old", "legacy", "SELECT count(*), sum(total) FROM orders"
    )
    assert not world.exists("legacy_on_18", "old")


def test_the_documented_input_restores_the_newest_point(world: World, taken: Taken) -> None:
    taken("shop")
    request = documented()[0]

    run = world.ended(world.start("restore", **request))

    assert run.status == "SUCCEEDED", run.cause
    assert run.output["proof"]["proven"]
    count = "SELECT count(*) FROM app.users"
    assert world.query("main", request["into"], count) == world.query("main", "shop", count)


def test_every_documented_input_is_understood(world: World, taken: Taken) -> None:
    taken("shop")
    request = documented()[1]

    run = world.ended(world.start("restore", **request))

    assert run.error == "UnknownPoint"
    assert request["point"] in run.cause


def test_a_table_alone_is_restored_by_the_command(world: World, taken: Taken) -> None:
    point = taken("shop")

    told = world.restore("shop", "shop_users", "--point", point, "--table", "app.users")

    assert told["proof"]["tables"] == 1
    assert told["report"]["bytes_read"] > 0
    assert "only app.users" in told["report"]["sentence"]
    count = "SELECT count(*) FROM app.users"
    assert world.query("main", "shop_users", count) == world.query("main", "shop", count)
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    assert world.query("main", "shop_users", tables) == [(1,)]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        pytest.param(
            {"database": "shop", "in_to": "wrong_key"}, ["in_to is not a known field", "into is missing"], id="misspelt"
        ),
        pytest.param({"database": "shop", "into": ""}, ["into: "], id="no name"),
        pytest.param({}, ["database is missing", "into is missing"], id="empty"),
        pytest.param({"database": "shop", "into": 7}, ["into: "], id="a number"),
    ],
)
def test_a_wrong_input_is_refused_by_the_first_state(world: World, request_: dict[str, Any], told: list[str]) -> None:
    run = world.ended(world.start("restore", **request_))

    assert run.error == "BadRequest"
    assert all(sentence in run.cause for sentence in told)
    entered = [step.name for step in world.system.runs.look(run.arn).steps()]
    assert "Prepare the target" not in entered
    watched = world.holdfast("--local", "watch", run.name)
    assert watched.code == 2
    assert told[0] in watched.said


def test_an_unknown_database_is_refused_by_the_machine_too(world: World) -> None:
    run = world.ended(world.start("backup", database="nowhere"))

    assert run.error == "UnknownDatabase"
    assert "nowhere" in run.cause


def test_a_target_that_is_not_empty_is_refused_and_stays_as_it_is(world: World, taken: Taken) -> None:
    point = taken("small")
    before = contents(world, "blind")

    done = world.holdfast("--local", "restore", "small", "--point", point, "--into", "blind", "--wait")

    assert done.code == 5, done.said
    assert "blind" in done.said
    assert "Restore into a new name" in done.said
    assert contents(world, "blind") == before


def test_a_schedule_makes_a_daily_point(world: World) -> None:
    place = world.system.place
    assert place.endpoint
    names = {name: group for group, name in schedules(endpoint=place.endpoint, region=place.region)}

    fired = fire(
        "suite-nightly-daily", group=names["suite-nightly-daily"], endpoint=place.endpoint, region=place.region
    )
    assert fired.execution
    run = world.ended(fired.execution)

    assert run.status == "SUCCEEDED", run.cause
    (point,) = world.points("nightly")
    assert (point["state"], point["tier"], point["execution"]) == ("intact", "daily", fired.execution)
