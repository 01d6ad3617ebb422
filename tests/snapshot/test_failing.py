"""How a failed backup is put on record."""

from __future__ import annotations

import json
from dataclasses import replace

import psycopg
import pytest

from holdfast.adapters.postgres.connect import Connection, connect
from holdfast.contracts.backup import FailRequest
from holdfast.model.points import PointState
from holdfast.model.sessions import session_name
from holdfast.usecases.snapshot.fail import fail_backup, reason_of
from snapshot.rig import DATABASE, Rig


def fail(rig: Rig, execution: str, point_id: str | None = None, cause: str = "It broke.") -> str | None:
    request = FailRequest(database=DATABASE, execution=execution, point_id=point_id, error="ProgramFailed", cause=cause)
    return fail_backup(request, parameters=lambda _: rig.parameters, points=rig.points, holds=rig.holds).point_id


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


def orphan(rig: Rig, point_id: str) -> Connection:
    """Return a session that copies for the point, whose holder is gone."""
    session = connect(rig.parameters, application_name=session_name("dump", point_id))
    session.execute("BEGIN")
    session.execute("LOCK TABLE users IN ACCESS SHARE MODE")
    return session


def test_workers_without_a_holder_are_ended_with_the_backup(small: Rig) -> None:
    """A holder that was killed ended nobody, and who waits behind its workers might wait for minutes."""
    started = small.start("arn:one")
    worker = orphan(small, started.point_id)

    fail(small, "arn:one", started.point_id)

    with pytest.raises(psycopg.OperationalError):
        worker.execute("SELECT 1")


def test_workers_of_a_dead_run_are_ended_by_the_next(small: Rig) -> None:
    worker = orphan(small, small.start("arn:one").point_id)
    small.executions.alive.clear()

    small.start("arn:two")

    with pytest.raises(psycopg.OperationalError):
        worker.execute("SELECT 1")


def test_a_source_that_is_gone_does_not_keep_a_backup_from_failing(small: Rig) -> None:
    started = small.start("arn:one")
    request = FailRequest(
        database=DATABASE, execution="arn:one", point_id=started.point_id, error="E", cause="It broke."
    )
    nowhere = replace(small.parameters, port=1)

    fail_backup(request, parameters=lambda _: nowhere, points=small.points, holds=small.holds)

    assert small.points.get(started.point_id).state is PointState.FAILED
    assert small.points.lock_holder(DATABASE) is None


def test_a_failure_that_is_told_again_later_leaves_the_next_run_alone(small: Rig) -> None:
    started = small.start("arn:one")
    fail(small, "arn:one", started.point_id)
    following = small.start("arn:two")
    with small.holding(following.point_id) as holder:
        worker = orphan(small, following.point_id)

        fail(small, "arn:one", started.point_id, cause="It broke again.")

        assert small.points.lock_holder(DATABASE) == (following.point_id, "arn:two")
        worker.execute("SELECT 1")
        assert not holder.done()
        worker.close()
    assert small.points.get(started.point_id).failure == "It broke."
