"""`holdfast protect` and `holdfast unprotect`."""

from __future__ import annotations

import pytest

from cli.conftest import MACHINE, Command, keep, point
from holdfast.contracts.protecting import Guarded
from holdfast.model.points import Mechanism, PointState


def answering(command: Command, **facts: object) -> None:
    given = {"database": "shop", "point_id": point(1).id, "protect": True, "reason": "litigation 17", "finished": True}
    guarded = Guarded.model_validate({**given, "legal_hold": False, **facts})
    command.states.outcome = {"status": "SUCCEEDED", "output": guarded.model_dump_json()}


def test_a_point_is_protected_by_the_machine_for_a_reason(command: Command) -> None:
    keep(command.points, point(1))
    answering(command, legal_hold=True, versions=1200, missing=1)

    answer = command("protect", point(1).id, "--reason", "litigation 17", "--legal-hold")

    (started,) = command.states.started
    assert started["stateMachineArn"] == f"{MACHINE}holdfast-protect"
    assert started["input"] == {
        "database": "shop",
        "point_id": point(1).id,
        "protect": True,
        "reason": "litigation 17",
        "legal_hold": True,
    }
    assert "is protected: litigation 17. A legal hold is on 1,200 versions of its objects." in answer.out
    assert "1 chunk of it could not be found: verify it." in answer.out


def test_a_protection_is_taken_back_for_a_reason(command: Command) -> None:
    keep(command.points, point(1))
    answering(command, protect=False)

    answer = command("unprotect", point(1).id, "--reason", "settled")

    assert command.states.started[0]["input"]["protect"] is False
    assert f"{point(1).id} is not protected any more." in answer.out


@pytest.mark.parametrize(
    ("facts", "reason", "code"),
    [
        pytest.param({}, " ", 2, id="without a reason"),
        pytest.param({"state": PointState.EXPIRED, "expired_why": "It is old."}, "why", 5, id="expired"),
        pytest.param({"mechanism": Mechanism.HISTORY}, "why", 5, id="a moment of the history"),
    ],
)
def test_what_cannot_be_protected_is_refused_before_anything_runs(
    command: Command, facts: dict[str, object], reason: str, code: int
) -> None:
    keep(command.points, point(1, **facts))  # type: ignore[arg-type]  # facts are fields by name

    assert command("protect", point(1).id, "--reason", reason).code == code
    assert not command.states.started


@pytest.mark.parametrize("verb", ["protect", "unprotect"])
@pytest.mark.parametrize("unknown", ["nope", point(1).id], ids=["no id at all", "the id of no point"])
def test_what_is_no_point_is_unknown(command: Command, verb: str, unknown: str) -> None:
    assert command(verb, unknown, "--reason", "why").code == 4
