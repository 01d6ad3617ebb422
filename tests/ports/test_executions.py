"""What every view of executions promises; answers to task tokens are in tests/adapters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from fakes import MemoryExecutions
from holdfast.adapters.aws import StepFunctionsExecutions
from holdfast.ports.executions import Executions

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

World = tuple[Executions, str, Callable[[], None]]
NOTHING = '{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 900, "End": true}}}'
ROLE = "arn:aws:iam::123456789012:role/machine"


def in_memory() -> World:
    executions = MemoryExecutions()
    executions.alive.add("arn:run-1")
    return executions, "arn:run-1", executions.alive.clear


def in_aws(client: SFNClient) -> World:
    machine = client.create_state_machine(name="backup", definition=NOTHING, roleArn=ROLE)["stateMachineArn"]
    arn = client.start_execution(stateMachineArn=machine)["executionArn"]
    return StepFunctionsExecutions(client), arn, lambda: client.stop_execution(executionArn=arn) and None


@pytest.fixture(params=["fake", "aws"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "fake":
        return in_memory()
    return in_aws(request.getfixturevalue("clients").step_functions)


def test_a_started_execution_runs_until_it_is_stopped(world: World) -> None:
    executions, arn, stop = world

    before = executions.running(arn)
    stop()

    assert before
    assert not executions.running(arn)


def test_an_execution_that_never_was_does_not_run(world: World) -> None:
    executions, arn, _ = world

    assert not executions.running(f"{arn}-never")


def test_a_task_of_the_fake_is_answered_once() -> None:
    executions = MemoryExecutions()
    executions.waiting.add("token")

    answers = [executions.heartbeat("token"), executions.succeed("token", "{}"), executions.fail("token", "E", "c")]

    assert answers == [True, True, False]
    assert executions.answers == [("token", "succeeded", "{}")]
