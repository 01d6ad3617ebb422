"""
Run several invocations of functions, one step at a time, in whatever order a test chooses.

A step is one call of a port. An invocation runs in a thread of its own and stops before each such call until it may
go on, so that nothing runs unless the test says so, and the same choices give the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

PATIENCE = 20


class Killed(BaseException):
    """The invocation's process is gone; nothing of it may catch this and go on."""


class Invocation:
    """
    One call of a function; *work* gets the ports by way of `Stepwise`.

    It ends with `answer`, with `error`, or because it was killed.
    """

    def __init__(self, work: Callable[[Invocation], Any]) -> None:
        self.answer: Any = None
        self.error: BaseException | None = None
        self.over = False
        self._dying = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def step(self) -> None:
        """Let it make one call and whatever follows until the next."""
        if not self.over:  # it may end without any call
            self._go.release()
            self._wait()

    def kill(self) -> None:
        """End it here: the call that it is about to make is never made."""
        self._dying = True
        while not self.over:
            self.step()

    def gate(self) -> None:
        """Stop before a call, on behalf of whichever thread of the invocation makes it."""
        if self._dying:
            raise Killed
        self._stopped.release()
        assert self._go.acquire(timeout=PATIENCE)
        if self._dying:
            raise Killed

    def _wait(self) -> None:
        assert self._stopped.acquire(timeout=PATIENCE), "an invocation neither ended nor made a call"

    def _run(self) -> None:
        try:
            self.answer = self._work(self)
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            self.error = error
        self.over = True
        self._stopped.release()


class Stepwise:
    """A port whose every call is a step of *invocation*."""

    def __init__(self, port: Any, invocation: Invocation) -> None:
        self._port, self._invocation = port, invocation

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._invocation.gate()
            return found(*arguments, **named)

        return call
