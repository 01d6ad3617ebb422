"""`holdfast collect`."""

from __future__ import annotations

import json

import pytest

from cli.conftest import MACHINE, Command
from holdfast.contracts.retention import Amount, Collected

FOUND = Collected(
    database="shop",
    run="run",
    dry_run=True,
    finished=True,
    manifests=12,
    pinned=Amount(versions=1200, bytes=5_000_000_000),
    garbage=Amount(versions=3, bytes=4_000_000),
)


def answering(command: Command, found: Collected) -> None:
    command.states.outcome = {"status": "SUCCEEDED", "output": found.model_dump_json()}


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_without_yes_it_only_counts_and_says_how_to_remove(command: Command, options: list[str]) -> None:
    answering(command, FOUND)

    answer = command("collect", "shop", *options)

    (started,) = command.states.started
    assert started["stateMachineArn"] == f"{MACHINE}holdfast-collect"
    assert started["input"] == {"database": "shop", "dry_run": True}
    assert "1,200 chunks, 5.00 GB, pinned by 12 manifests" in answer.out
    assert "Nothing was removed: `holdfast collect shop --yes` removes it." in answer.out


def test_with_yes_it_removes_and_tells_what_a_lock_protects(command: Command) -> None:
    until = "2026-03-01T00:00:00Z"
    facts = {"dry_run": False, "removed": Amount(versions=2, bytes=3_000_000), "locked": Amount(versions=1, bytes=1)}
    answering(command, Collected.model_validate({**FOUND.model_dump(), **facts, "locked_until": until}))

    answer = command("collect", "shop", "--yes")

    assert command.states.started[0]["input"] == {"database": "shop", "dry_run": False}
    assert "2 chunks, 3.00 MB" in answer.out
    assert "1 chunks, 1 B, the last until 2026-03-01 00:00:00 UTC" in answer.out


def test_programs_get_all_of_it(command: Command) -> None:
    answering(command, FOUND)

    answer = command("--json", "collect", "shop")

    assert answer.json == json.loads(FOUND.model_dump_json())


def test_a_dry_run_that_removes_makes_no_sense(command: Command) -> None:
    assert command("collect", "shop", "--dry-run", "--yes").code == 2
    assert not command.states.started
