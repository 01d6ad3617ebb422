"""How a failed backup is put on record."""

from __future__ import annotations

import json

import pytest

from holdfast.contracts.backup import FailRequest
from holdfast.model.points import PointState
from holdfast.usecases.snapshot.fail import fail_backup, reason_of
from snapshot.rig import DATABASE, Rig


def fail(rig: Rig, execution: str, point_id: str | None = None, cause: str = "It broke.") -> str | None:
    request = FailRequest(database=DATABASE, execution=execution, point_id=point_id, error="ProgramFailed", cause=cause)
    return fail_backup(request, points=rig.points, holds=rig.holds).point_id


def test_a_failed_backup_releases_everything_that_it_holds(small: Rig) -> None:
    started = small.start("arn:one")
    with small.holding(started.point_id) as holder:
        fail(small, "arn:one", started.point_id)

        assert holder.result(timeout=30).released
    point = small.points.get(started.point_id)
    assert (point.state, point.failure) == (PointState.FAILED, "It broke.")
    assert small.points.lock_holder(DATABASE) is None
    assert not small.holds.open(DATABASE)
    assert small.start("arn:two").point_id != started.point_id


def test_the_point_of_an_execution_that_never_told_it_is_found_by_its_lock(small: Rig) -> None:
    started = small.start("arn:one")

    assert fail(small, "arn:one") == started.point_id


def test_a_run_that_never_got_a_point_leaves_the_running_one_alone(small: Rig) -> None:
    started = small.start("arn:one")

    assert fail(small, "arn:two") is None
    assert small.points.get(started.point_id).state is PointState.CAPTURING
    assert small.points.lock_holder(DATABASE) == (started.point_id, "arn:one")


def test_failing_may_be_repeated(small: Rig) -> None:
    started = small.start("arn:one")

    assert fail(small, "arn:one", started.point_id) == fail(small, "arn:one", started.point_id)


def test_a_captured_point_stays_captured_when_its_verification_could_not_run(small: Rig) -> None:
    point = small.backup()

    fail(small, point.execution, point.id)

    assert small.points.get(point.id).state is PointState.CAPTURED


@pytest.mark.parametrize(
    ("error", "cause", "expected"),
    [
        pytest.param("SchemaChanged", json.dumps({"errorMessage": "It changed."}), "It changed.", id="a function's"),
        pytest.param("SchemaChanged", "It changed.", "It changed.", id="a sentence"),
        pytest.param("SchemaChanged", "", "SchemaChanged", id="only a name"),
        pytest.param("States.Timeout", "", "A step did not answer in time.", id="a timeout"),
        pytest.param("", "", "The backup failed without a reason.", id="nothing"),
        pytest.param("X", json.dumps({"errorMessage": "y" * 5000}), "y" * 600, id="far too long"),
    ],
)
def test_gives_the_reason_in_one_sentence(error: str, cause: str, expected: str) -> None:
    assert reason_of(error, cause) == expected
