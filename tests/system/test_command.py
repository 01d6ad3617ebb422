"""What the command says: to people in one sentence, to programs as JSON."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from holdfast_local.postgres import locate
from system.world import World

pytestmark = pytest.mark.xdist_group("system-1")

NO_POINT = "small-20260101t000000z-abcdef"


@pytest.fixture(scope="module")
def point(world: World) -> str:
    return world.backup("plain")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        pytest.param(("backup", "smal"), 4, ["There is no database 'smal'", "Did you mean small?"], id="database"),
        pytest.param(
            ("points", "nothing-like-it"), 4, ["There is no database 'nothing-like-it'", "Known are"], id="no idea"
        ),
        pytest.param(("show", NO_POINT), 4, [NO_POINT], id="point"),
        pytest.param(("verify", NO_POINT), 4, [NO_POINT], id="point to verify"),
        pytest.param(("restore", "small", "--point", NO_POINT, "--into", "x"), 4, [NO_POINT], id="point to restore"),
        pytest.param(
            ("restore", "small", "--point", "yesterday", "--into", "x"), 4, ["'yesterday' is not the id"], id="no id"
        ),
        pytest.param(
            ("restore", "unreachable", "--into", "x"),
            5,
            ["unreachable has no intact recovery point", "backup unreachable --wait"],
            id="no point yet",
        ),
        pytest.param(("watch", "nobody"), 4, ["There is no run nobody.", "holdfast status"], id="run"),
    ],
)
def test_what_does_not_exist_is_named_with_a_remedy(
    world: World, arguments: tuple[str, ...], code: int, told: list[str]
) -> None:
    done = world.holdfast("--local", *arguments)

    assert done.code == code, done.said
    assert done.out == ""
    assert all(words in done.said for words in told), done.said
    assert not world.exists("x")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("status",), id="status"),
        pytest.param(("status", "plain"), id="status of one"),
        pytest.param(("points", "plain"), id="points"),
        pytest.param(("show", "{point}"), id="show"),
        pytest.param(("verify", "{point}", "--wait"), id="verify"),
        pytest.param(("restore", "plain", "--into", "plain_again", "--wait"), id="restore"),
        pytest.param(("local", "status"), id="local status"),
    ],
)
def test_programs_get_one_json_object(world: World, point: str, arguments: tuple[str, ...]) -> None:
    done = world.holdfast("--local", "--json", *(word.format(point=point) for word in arguments))

    assert done.code == 0, done.said
    assert isinstance(done.json, dict)


def test_programs_get_errors_as_json_too(world: World) -> None:
    done = world.holdfast("--local", "--json", "show", NO_POINT)

    assert done.code == 4
    assert set(done.json) == {"error", "message", "hint", "ids"}
    assert done.json["error"] == "UnknownPoint"
    assert done.err == ""


def test_a_run_that_is_not_waited_for_can_be_watched(world: World) -> None:
    started = world.holdfast("--local", "--json", "backup", "plain")

    watched = world.holdfast("--local", "--json", "watch", started.json["execution"].rpartition(":")[2])

    assert started.code == watched.code == 0
    assert watched.json["status"] == "SUCCEEDED"
    assert "Verify the copy" in watched.err


def test_a_point_is_downloaded_for_pg_restore(world: World, point: str, tmp_path: Path) -> None:
    done = world.holdfast("--local", "--json", "download", point, "--to", str(tmp_path / "copy"))

    assert done.code == 0, done.said
    assert done.json["path"] == str(tmp_path / "copy")
    listed = subprocess.run(
        [locate(18).path("pg_restore"), "--list", tmp_path / "copy"], capture_output=True, text=True, check=True
    )
    assert "TABLE DATA" in listed.stdout
