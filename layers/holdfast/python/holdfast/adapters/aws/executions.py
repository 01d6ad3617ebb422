"""Executions and task tokens of Step Functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from holdfast.adapters.aws.errors import code_of, translated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_NO_EXECUTION = {"ExecutionDoesNotExist", "InvalidArn"}
# A token of a task that has ended is not always told from one that never was.
_NOBODY_WAITS = {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}
_CAUSE_CHARACTERS = 32_768
_ERROR_CHARACTERS = 256


class StepFunctionsExecutions:
    """`Executions` over Step Functions."""

    def __init__(self, client: SFNClient) -> None:
        self._client = client

    def running(self, execution: str) -> bool:
        """Answer whether the execution is still running."""
        with translated(f"Looking at execution {execution}"):
            try:
                return self._client.describe_execution(executionArn=execution)["status"] == "RUNNING"
            except ClientError as error:
                if code_of(error) in _NO_EXECUTION:
                    return False
                raise

    def heartbeat(self, task_token: str) -> bool:
        """Tell the state machine that the task lives."""
        return _waiting("Sending a heartbeat", lambda: self._client.send_task_heartbeat(taskToken=task_token))

    def succeed(self, task_token: str, output: str) -> bool:
        """Answer the task."""
        return _waiting("Answering a task", lambda: self._client.send_task_success(taskToken=task_token, output=output))

    def fail(self, task_token: str, error: str, cause: str) -> bool:
        """Fail the task; texts are cut to what the service takes."""
        return _waiting(
            "Failing a task",
            lambda: self._client.send_task_failure(
                taskToken=task_token, error=error[:_ERROR_CHARACTERS], cause=cause[:_CAUSE_CHARACTERS]
            ),
        )


def _waiting(action: str, call: Callable[[], object]) -> bool:
    """Make *call*; False when nobody waits for the token."""
    with translated(action):
        try:
            call()
        except ClientError as error:
            if code_of(error) in _NOBODY_WAITS:
                return False
            raise
    return True
