"""Executions in memory."""

from __future__ import annotations

from threading import Lock


class MemoryExecutions:
    """`Executions` in memory: tests put ARNs into `alive` and tokens into `waiting`, and read `answers`."""

    def __init__(self) -> None:
        self.alive: set[str] = set()
        self.waiting: set[str] = set()
        self.heartbeats: list[str] = []
        self.answers: list[tuple[str, ...]] = []
        self._one_at_a_time = Lock()

    def running(self, execution: str) -> bool:
        return execution in self.alive

    def heartbeat(self, task_token: str) -> bool:
        if task_token in self.waiting:
            self.heartbeats.append(task_token)
        return task_token in self.waiting

    def succeed(self, task_token: str, output: str) -> bool:
        return self._answer(task_token, "succeeded", output)

    def fail(self, task_token: str, error: str, cause: str) -> bool:
        return self._answer(task_token, "failed", error, cause)

    def _answer(self, task_token: str, *answer: str) -> bool:
        with self._one_at_a_time:
            if task_token not in self.waiting:
                return False
            self.waiting.discard(task_token)
            self.answers.append((task_token, *answer))
            return True
