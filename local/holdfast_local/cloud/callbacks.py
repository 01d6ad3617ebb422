"""
Tasks that wait for a token (`.waitForTaskToken`), as the holder of a snapshot does.

Corrected here: each attempt has a token of its own (moto uses one for all retries, so a task that failed
by SendTaskFailure could never be retried); a heartbeat or answer that comes while the function still runs
counts; `InvocationType: Event` is an argument of `lambda:invoke`; without it the task ends when its token
is answered, although its function runs on; a token whose task has ended is refused with TaskTimedOut, and
one that never was with InvalidToken.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from holdfast_local.cloud import hooks

PARSER = "moto.stepfunctions.parser"
SERVICE = f"{PARSER}.asl.component.state.exec.state_task.service"
POLL_SECONDS = 0.05


@dataclass
class OpenTask:
    """A task that waits, or waited, for its token."""

    endpoint: Any
    frame: Any

    @property
    def waiting(self) -> bool:
        """Whether an answer still changes anything."""
        frame, endpoint = self.frame, self.endpoint
        return bool(frame and endpoint and frame.is_running() and endpoint.get_outcome() is None)

    def end(self) -> None:
        """Let no answer in any more, and let go of the execution's memory."""
        self.endpoint = self.frame = None


TASKS: dict[str, OpenTask] = {}
"""Every task token ever given out, by its text."""


def install() -> None:
    """Correct the tasks that wait for tokens."""
    _install_token_for_each_attempt()
    _install_early_heartbeats()
    _install_lambda()


def _install_token_for_each_attempt() -> None:
    callback = hooks.module(f"{SERVICE}.state_task_service_callback").StateTaskServiceCallback
    condition = hooks.module(f"{SERVICE}.resource").ResourceCondition

    def eval_execution(self: Any, env: Any) -> None:
        if self.resource.condition != condition.WaitForTaskToken:
            original(self, env)
            return
        token = env.states.context_object.update_task_token()
        task = TASKS[token] = OpenTask(env.callback_pool_manager.add(token), env)
        try:
            original(self, env)
        finally:
            task.end()

    original = hooks.replace(callback, "_eval_execution", eval_execution, expects=("self", "env"))


def _install_early_heartbeats() -> None:
    endpoint = hooks.module(f"{PARSER}.asl.eval.callback.callback").CallbackEndpoint

    def setup(self: Any, heartbeat_seconds: int) -> Any:
        heartbeat = original(self, heartbeat_seconds)
        if self._notify_event.is_set():
            heartbeat.notify()
        return heartbeat

    def notify(self: Any) -> bool:
        if self._heartbeat_endpoint:
            self._heartbeat_endpoint.notify()
        return True

    original = hooks.replace(endpoint, "setup_heartbeat_endpoint", setup, expects=("self", "heartbeat_seconds"))
    hooks.replace(endpoint, "notify_heartbeat", notify, expects=("self",))


def _install_lambda() -> None:
    service = hooks.module(f"{SERVICE}.state_task_service_lambda")
    waits = service.ResourceCondition.WaitForTaskToken
    service._SUPPORTED_API_PARAM_BINDINGS["invoke"].add("InvocationType")

    def eval_service_task(
        self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        if self.resource.condition != waits or normalised_parameters.get("InvocationType") == "Event":
            original(self, env, resource_runtime_part, normalised_parameters, state_credentials)
            return
        call = Call(service.lambda_eval_utils, normalised_parameters, resource_runtime_part.region, state_credentials)
        env.stack.append(call.result_or_abandon(env))

    original = hooks.replace(
        service.StateTaskServiceLambda,
        "_eval_service_task",
        eval_service_task,
        expects=("self", "env", "resource_runtime_part", "normalised_parameters", "state_credentials"),
    )


class Call:
    """A synchronous invocation in a thread, which may be left alone when the token has been answered."""

    def __init__(self, utils: Any, parameters: dict[str, Any], region: str, credentials: Any) -> None:
        self._utils = utils
        self._arguments = {"parameters": parameters, "region": region, "state_credentials": credentials}
        self._done = threading.Event()
        self._result: dict[str, Any] = {}
        self._error: Exception | None = None
        threading.Thread(target=self._run, daemon=True, name="task-with-token").start()

    def result_or_abandon(self, env: Any) -> Any:
        """Return the payload when the function returns first, else nothing; raise the function's error."""
        token = env.states.context_object.context_object_data["Task"]["Token"]
        endpoint = env.callback_pool_manager.get(token)
        while endpoint.get_outcome() is None and env.is_running() and not self._done.wait(POLL_SECONDS):
            pass
        if self._error is not None:
            raise self._error
        if self._result.get("FunctionError"):
            payload = json.dumps(self._result["Payload"], separators=(",", ":"))
            raise self._utils.LambdaFunctionErrorException(self._result["FunctionError"], payload)
        return self._result.get("Payload") or {}

    def _run(self) -> None:
        try:
            self._result = self._utils._invoke_lambda_function(**self._arguments)
        except Exception as error:  # noqa: BLE001 (handed over to the waiting thread)
            self._error = error
        finally:
            self._done.set()
