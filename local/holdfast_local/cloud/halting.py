"""
End an execution as soon as it is stopped, has timed out, or another branch has failed.

moto waits for the task at hand first: an execution whose holder may run for hours would stay RUNNING
for as long. AWS leaves the function running and ends the execution.
"""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

from holdfast_local.cloud import hooks

COMPONENT = "moto.stepfunctions.parser.asl.component"
POLL_SECONDS = 0.1


class Halted(BaseException):
    """Unwind the state at hand; not an Exception, so that no Retry or Catch of the definition sees it."""


def install() -> None:
    """Let tasks, waits before a retry and programs notice that their execution has ended."""
    state = hooks.module(f"{COMPONENT}.state.exec.execute_state")
    timeout_error = state.EvalTimeoutError

    def evaluate_with_timeout(self: Any, env: Any) -> None:
        self.timeout.eval(env=env)
        seconds = env.stack.pop()
        task = Task(self, env)
        if not task.wait(seconds):
            raise timeout_error
        _keep_result(self, env, task.output())

    hooks.replace(state.ExecutionState, "_evaluate_with_timeout", evaluate_with_timeout, expects=("self", "env"))
    _install_no_partial_calls()
    _install_program_end()
    _install_retry_wait()


class Task:
    """One attempt at a state, in a thread and an environment frame of its own."""

    def __init__(self, state: Any, env: Any) -> None:
        self._state, self._env = state, env
        self._frame = env.open_frame()
        self._frame.states.reset(input_value=env.states.get_input())
        self._frame.stack = copy.deepcopy(env.stack)
        self._done = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._run, daemon=True, name="state").start()

    def wait(self, seconds: float) -> bool:
        """Wait at most *seconds*; false when they have passed. Raise `Halted` when the execution has ended."""
        limit = time.monotonic() + seconds
        try:
            while not self._done.wait(min(POLL_SECONDS, max(0.0, limit - time.monotonic()))):
                if not self._env.is_running():
                    raise Halted
                if time.monotonic() >= limit:
                    return False
            return True
        finally:
            self._frame.set_ended()
            self._env.close_frame(self._frame)

    def output(self) -> Any:
        """Return what the state left on the stack, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._frame.stack[-1]

    def _run(self) -> None:
        try:
            self._state._eval_execution(self._frame)
        except BaseException as error:  # noqa: BLE001 (handed over to the waiting thread)
            self._error = error
        finally:
            self._done.set()


def _keep_result(state: Any, env: Any, output: Any) -> None:
    env.stack.append(output)
    if not state._is_language_query_jsonpath():
        env.states.set_result(output)
    for step in (state.assign_decl, state.result_selector):
        if step:
            step.eval(env=env)
    if state.result_path:
        state.result_path.eval(env)
    else:
        env.states.reset(input_value=env.stack.pop())


def _install_no_partial_calls() -> None:
    # Once an execution has ended moto evaluates nothing more, in the middle of a task's arguments too: the call
    # would go out with those that it had until then, such as a PutObject without its body.
    task = hooks.module(f"{COMPONENT}.state.exec.state_task.state_task").StateTask

    def eval_parameters(self: Any, env: Any) -> Any:
        parameters = original(self, env)
        if not env.is_running():
            raise Halted
        return parameters

    original = hooks.replace(task, "_eval_parameters", eval_parameters, expects=("self", "env"))


def _install_program_end() -> None:
    program = hooks.module(f"{COMPONENT}.program.program").Program

    def eval_body(self: Any, env: Any) -> None:
        try:
            original(self, env)
        except Halted:
            original(self, env)  # it is not running any more, so this only writes down how it ended

    original = hooks.replace(program, "_eval_body", eval_body, expects=("self", "env"))


def _install_retry_wait() -> None:
    retrier = hooks.module(f"{COMPONENT}.common.retry.retrier_decl")
    waiting = threading.local()

    class Clock:
        """Stands for the module `time` in moto's retrier, whose wait cannot be interrupted."""

        @staticmethod
        def sleep(seconds: float) -> None:
            limit = time.monotonic() + seconds
            while (left := limit - time.monotonic()) > 0:
                time.sleep(min(POLL_SECONDS, left))
                if not waiting.env.is_running():
                    raise Halted

    def eval_body(self: Any, env: Any) -> None:
        waiting.env = env
        original(self, env)

    original = hooks.replace(retrier.RetrierDecl, "_eval_body", eval_body, expects=("self", "env"))
    hooks.assign(retrier, "time", Clock)
