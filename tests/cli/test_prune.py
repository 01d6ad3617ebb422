"""`holdfast prune`."""

from __future__ import annotations

import pytest

from cli.conftest import MACHINE, NOON, Command
from holdfast.contracts.pruning import Decisions, Judged, Outcome, Pruned
from holdfast.model.keys import RunKeys
from holdfast.model.points import Mechanism, PointState, Tier


def judged(outcome: Outcome, why: str, note: str = "") -> Judged:
    return Judged(
        point_id=f"shop-20260131t120000z-00000{len(outcome)}",
        tier=Tier.DAILY,
        mechanism=Mechanism.ARCHIVE,
        state=PointState.INTACT,
        taken_at=NOON,
        outcome=outcome,
        why=why,
        note=note,
    )


def answering(command: Command, *found: Judged, dry_run: bool) -> None:
    outcomes = [one.outcome for one in found]
    counts = {outcome: outcomes.count(outcome) for outcome in Outcome}
    pruned = Pruned(database="shop", run="run", dry_run=dry_run, finished=True, counts=counts)
    command.states.outcome = {"status": "SUCCEEDED", "output": pruned.model_dump_json()}
    body = Decisions(judged=found, finished=True).model_dump_json().encode()
    command.scratch.write(RunKeys("prune", "run").document("decisions.json"), body)


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_without_yes_it_explains_each_decision_and_says_how_to_remove(command: Command, options: list[str]) -> None:
    old = "It is 40 days old; daily points are kept for 30 days."
    answering(
        command,
        judged(Outcome.KEPT, "It is the newest intact daily point."),
        judged(Outcome.DUE, old, "A lock protects it until 2026-03-01 00:00:00 UTC."),
        dry_run=True,
    )

    answer = command("prune", "shop", *options)

    (started,) = command.states.started
    assert started["stateMachineArn"] == f"{MACHINE}holdfast-prune"
    assert started["input"] == {"database": "shop", "dry_run": True}
    assert "It is the newest intact daily point." in answer.out
    assert f"{old} A lock protects it until 2026-03-01 00:00:00 UTC." in answer.out
    assert "1 kept, 1 to be removed" in answer.out
    assert "Nothing was removed: `holdfast prune shop --yes` removes it." in answer.out


def test_with_yes_it_removes_and_tells_what_became_of_each(command: Command) -> None:
    answering(command, judged(Outcome.REMOVED, "It is 40 days old."), judged(Outcome.LOST, "Gone."), dry_run=False)

    answer = command("prune", "shop", "--yes")

    assert command.states.started[0]["input"] == {"database": "shop", "dry_run": False}
    assert "1 removed, 1 lost at the provider" in answer.out
    assert "--yes" not in answer.out


def test_programs_get_every_decision(command: Command) -> None:
    answering(command, judged(Outcome.KEPT, "It is not finished."), dry_run=True)

    answer = command("--json", "prune", "shop")

    assert answer.json["counts"]["kept"] == 1
    assert [(one["outcome"], one["why"]) for one in answer.json["points"]] == [("kept", "It is not finished.")]


def test_a_dry_run_that_removes_makes_no_sense(command: Command) -> None:
    assert command("prune", "shop", "--dry-run", "--yes").code == 2
    assert not command.states.started
