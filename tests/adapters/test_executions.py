"""Answers to tasks and questions about executions of Step Functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from holdfast.adapters.aws import Clients, StepFunctionsExecutions
from holdfast.errors import BadConfiguration, UnexpectedState

ARN = "arn:aws:states:eu-central-1:123456789012:execution:holdfast-backup-internet:run-1"
MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:holdfast-backup-internet"
Call = Callable[[StepFunctionsExecutions], bool]
CALLS = [
    pytest.param("send_task_heartbeat", lambda executions: executions.heartbeat("token"), id="a heartbeat"),
    pytest.param("send_task_success", lambda executions: executions.succeed("token", "{}"), id="an answer"),
    pytest.param("send_task_failure", lambda executions: executions.fail("token", "E", "c"), id="a failure"),
]


@pytest.fixture
def stubber(clients: Clients) -> Stubber:
    return Stubber(clients.step_functions)


@pytest.fixture
def executions(clients: Clients) -> StepFunctionsExecutions:
    return StepFunctionsExecutions(clients.step_functions)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("RUNNING", True), ("SUCCEEDED", False), ("FAILED", False), ("TIMED_OUT", False), ("ABORTED", False)],
)
def test_only_a_running_execution_runs(
    executions: StepFunctionsExecutions, stubber: Stubber, status: str, expected: bool
) -> None:
    answer = {
        "executionArn": ARN,
        "stateMachineArn": MACHINE,
        "status": status,
        "startDate": datetime(2026, 1, 31, tzinfo=UTC),
    }
    stubber.add_response("describe_execution", answer, {"executionArn": ARN})

    with stubber:
        assert executions.running(ARN) is expected


@pytest.mark.parametrize("code", ["ExecutionDoesNotExist", "InvalidArn"])
def test_an_execution_that_does_not_exist_does_not_run(
    executions: StepFunctionsExecutions, stubber: Stubber, code: str
) -> None:
    stubber.add_client_error("describe_execution", code)

    with stubber:
        assert not executions.running("arn:gone")


def test_not_being_allowed_to_ask_is_no_answer(executions: StepFunctionsExecutions, stubber: Stubber) -> None:
    stubber.add_client_error("describe_execution", "AccessDeniedException")

    with stubber, pytest.raises(BadConfiguration, match="DescribeExecution"):
        executions.running(ARN)


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_a_task_that_is_waited_for_takes(
    executions: StepFunctionsExecutions, stubber: Stubber, name: str, call: Call
) -> None:
    stubber.add_response(name, {})

    with stubber:
        assert call(executions)


@pytest.mark.parametrize(("name", "call"), CALLS)
@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_task_that_nobody_waits_for_is_no_error(
    executions: StepFunctionsExecutions, stubber: Stubber, name: str, call: Call, code: str
) -> None:
    stubber.add_client_error(name, code)

    with stubber:
        assert not call(executions)


def test_an_output_that_is_no_json_is_a_defect(executions: StepFunctionsExecutions, stubber: Stubber) -> None:
    stubber.add_client_error("send_task_success", "InvalidOutput")

    with stubber, pytest.raises(UnexpectedState, match="InvalidOutput"):
        executions.succeed("token", "no json")


def test_long_causes_are_cut_to_what_the_service_takes(executions: StepFunctionsExecutions, stubber: Stubber) -> None:
    expected = {"taskToken": "token", "error": "E" * 256, "cause": "c" * 32_768}
    stubber.add_response("send_task_failure", {}, expected)

    with stubber:
        assert executions.fail("token", "E" * 300, "c" * 40_000)
