"""Executions of state machines."""

from __future__ import annotations

from typing import Protocol


class Executions(Protocol):
    """What other runs are doing, and answers to their task tokens."""

    def running(self, execution: str) -> bool:
        """Answer whether the execution with this ARN is still running; one that does not exist is not."""

    def heartbeat(self, task_token: str) -> bool:
        """Tell the state machine that the task lives; answers False when nobody waits for it any more."""

    def succeed(self, task_token: str, output: str) -> bool:
        """Answer the task with JSON *output*; False when nobody waits for it any more."""

    def fail(self, task_token: str, error: str, cause: str) -> bool:
        """Fail the task; False when nobody waits for it any more."""
