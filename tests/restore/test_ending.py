"""The operator's checks, and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from holdfast.contracts.restore import ReportRequest, RestoreStep
from holdfast.contracts.restoring import RestoreReport
from holdfast.model.points import PointState
from holdfast.usecases.restore.naming import restore_id_of
from holdfast.usecases.restore.report import message_of, report
from holdfast.usecases.restore.validate import validate
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Ended, Machine


@pytest.fixture(scope="module")
def little(databases: Databases) -> str:
    return databases.create("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'secret'), (2, NULL)")


@pytest.fixture
def run(
    databases: Databases, little: str, archiver: Archiver, wired: Callable[..., Machine]
) -> Callable[..., tuple[Machine, Ended]]:
    def run(*checks: tuple[str, str]) -> tuple[Machine, Ended]:
        archiver.take(databases.parameters(little))
        named = [{"name": f"check {n}", "sql": sql, "expect": expect} for n, (sql, expect) in enumerate(checks)]
        machine = wired(little, checks=named)
        return machine, machine.run(databases.name())

    return run


@pytest.mark.parametrize(
    ("sql", "expect"),
    [
        pytest.param("SELECT count(*) FROM t", "2", id="a number"),
        pytest.param("SELECT true", "t", id="a boolean"),
        pytest.param("SELECT b FROM t WHERE a = 1", "secret", id="a text"),
        pytest.param("SELECT '%s'", "%s", id="a percent sign"),
    ],
)
def test_a_check_passes_when_its_first_value_is_the_expected_one(
    run: Callable[..., tuple[Machine, Ended]], sql: str, expect: str
) -> None:
    _, ended = run((sql, expect))

    assert ended.validation.passed
    assert ended.validation.checks == 1


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        pytest.param("SELECT count(*) FROM t", "did not yield '7'", id="another value"),
        pytest.param("SELECT b FROM t WHERE a = 2", "yielded nothing", id="null"),
        pytest.param("SELECT 1 WHERE false", "yielded nothing", id="no row"),
        pytest.param("SELECT * FROM absent", "42P01", id="an error"),
        pytest.param("INSERT INTO t VALUES (3)", "25006", id="a write"),
    ],
)
def test_a_check_that_fails_is_named_and_fails_the_restore_but_not_the_point(
    run: Callable[..., tuple[Machine, Ended]], sql: str, sentence: str
) -> None:
    _, ended = run(("SELECT 1", "1"), (sql, "7"))

    assert not ended.validation.passed
    assert len(ended.validation.failures) == 1
    assert "check 1" in ended.validation.failures[0]
    assert sentence in ended.validation.failures[0]
    assert not ended.report.succeeded


def test_the_report_has_plan_timeline_proofs_and_rates(run: Callable[..., tuple[Machine, Ended]]) -> None:
    machine, ended = run()

    body = machine.scratch.read(ended.report.key)
    assert body is not None
    written = RestoreReport.model_validate_json(body)
    names = [step.name for step in written.timeline]
    assert ended.report.key == f"restore/{ended.assessed.restore_id}/report.json"
    assert names[:2] == ["prepare", "load"]
    assert names[-2:] == ["prove", "compare"]
    assert written.comparison is not None
    assert [(table.rows_restored, table.equal) for table in written.comparison.tables] == [(2, True)]
    assert written.rates.load_bytes_per_second is not None
    assert b"secret" not in body.replace(b"holdfast/shop", b"").replace(b'"secret"', b"")


def test_a_restore_that_was_refused_is_reported_with_its_remedy(run: Callable[..., tuple[Machine, Ended]]) -> None:
    machine, _ = run()
    cause = '{"errorMessage": "The target is full. Make room.", "errorType": "TargetIncompatible", "stackTrace": []}'
    request = ReportRequest(execution="arn:x:refused", database="shop", error="TargetIncompatible", cause=cause)

    answer = report(request, machine.world)

    assert not answer.succeeded
    assert answer.restore_id == "refused"
    assert answer.sentence == "The restore of shop failed: The target is full. Make room."


def test_a_point_that_was_found_damaged_meanwhile_is_not_counted_as_proven(
    run: Callable[..., tuple[Machine, Ended]],
) -> None:
    machine, ended = run()
    point = machine.archiver.points.get(ended.assessed.point_id)
    machine.archiver.with_state(point, PointState.FAILED)

    answer = machine.report(ended.assessed)

    assert answer.succeeded
    assert machine.archiver.points.get(point.id).state is PointState.FAILED


def test_an_error_after_the_proof_is_a_failure(run: Callable[..., tuple[Machine, Ended]]) -> None:
    machine, ended = run()

    answer = machine.report(ended.assessed, "States.Timeout", "The state timed out.")

    assert not answer.succeeded


def test_checks_may_be_repeated(run: Callable[..., tuple[Machine, Ended]]) -> None:
    machine, ended = run(("SELECT 1", "1"))

    again = validate(RestoreStep(restore_id=ended.assessed.restore_id), machine.world)

    assert again == ended.validation


def test_a_point_proven_again_keeps_the_newest_time(run: Callable[..., tuple[Machine, Ended]]) -> None:
    machine, ended = run()
    later = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

    replace(machine, world=replace(machine.world, now=lambda: later)).report(ended.assessed)

    assert machine.archiver.points.get(ended.assessed.point_id).proven_at == later


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        pytest.param("plain words", "plain words", id="words"),
        pytest.param('{"errorMessage": "ours"}', "ours", id="Lambda's JSON"),
        pytest.param("[1]", "[1]", id="other JSON"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_finds_the_message_in_a_cause(cause: str, message: str) -> None:
    assert message_of(cause) == message


@pytest.mark.parametrize(
    ("execution", "restore_id"),
    [
        pytest.param("arn:aws:states:eu-1:1:execution:n-restore-internet:abc-1", "abc-1", id="an ARN"),
        pytest.param("arn:x:a/../b c", "a----b-c", id="odd characters"),
        pytest.param("x" * 200, "x" * 80, id="long"),
    ],
)
def test_a_restore_is_named_after_its_execution(execution: str, restore_id: str) -> None:
    assert restore_id_of(execution) == restore_id
