"""Answer Step Functions' requests about executions, map runs and task tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from holdfast_local.cloud import callbacks, executions, hooks, maps
from holdfast_local.cloud.executions import ApiError, Executions, history_of, map_runs_of, seconds, status_of

MOST_RESULTS = 1000
DEFAULT_RESULTS = 100
Answer = dict[str, Any]


def install() -> Executions:
    """Let ministack hand every request about executions to the interpreter; return its executions."""
    service = hooks.module("ministack.services.stepfunctions")
    api = ExecutionsApi(Executions(), service)
    for name, action in api.actions().items():
        hooks.replace(service, name, _answering(action), expects=("data",))
    executions.log_ends()
    return api.executions


def _answering(action: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Any]:
    responses = hooks.module("ministack.core.responses")

    def answer(data: dict[str, Any]) -> Any:
        try:
            return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(action(data), default=str).encode()
        except ApiError as error:
            return responses.error_response_json(error.code, str(error), 400)

    return answer


class ExecutionsApi:
    """One method for each action; each takes and gives the JSON of the API."""

    def __init__(self, known: Executions, service: Any) -> None:
        self.executions, self._service = known, service

    def actions(self) -> dict[str, Callable[[dict[str, Any]], Answer]]:
        """Return the actions by the names of the functions they replace."""
        return {
            "_start_execution": self.start,
            "_describe_execution": self.describe,
            "_describe_state_machine_for_execution": self.describe_machine,
            "_get_execution_history": self.history,
            "_list_executions": self.list,
            "_stop_execution": self.stop,
            "_list_map_runs": self.list_map_runs,
            "_describe_map_run": self.describe_map_run,
            "_update_map_run": self.update_map_run,
            "_send_task_success": self.send_success,
            "_send_task_failure": self.send_failure,
            "_send_task_heartbeat": self.send_heartbeat,
            "_start_sync_execution": self.refuse,
            "_test_state": self.refuse,
        }

    def start(self, data: dict[str, Any]) -> Answer:
        """Start an execution; without a name it gets one."""
        arn = data.get("stateMachineArn", "")
        machine = self._service._state_machines.get(arn)
        if machine is None:
            raise ApiError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        name = data.get("name") or executions.new_name()
        started = self.executions.start(arn, machine, name=name, text=data.get("input") or "{}")
        return {"executionArn": started.exec_arn, "startDate": seconds(started.start_date)}

    def refuse(self, data: dict[str, Any]) -> Answer:  # noqa: ARG002
        """Refuse what ministack would do with an interpreter of its own, which differs from AWS."""
        raise ApiError("ValidationException", "The local cloud runs Standard workflows, started by StartExecution.")

    def describe(self, data: dict[str, Any]) -> Answer:
        """Describe one execution, with its output once it has succeeded."""
        execution = self.executions.get(data.get("executionArn", ""))
        answer = _summary(execution) | {
            "input": execution.execution_input,
            "inputDetails": {"included": True},
            "redriveCount": 0,
            "redriveStatus": "NOT_REDRIVABLE",
        }
        if status_of(execution) == "SUCCEEDED":
            answer |= {"output": json.dumps(execution.output, default=str), "outputDetails": {"included": True}}
        return answer | {key: value for key in ("error", "cause") if (value := getattr(execution, key)) is not None}

    def describe_machine(self, data: dict[str, Any]) -> Answer:
        """Describe the state machine as it was when the execution started."""
        execution = self.executions.get(data.get("executionArn", ""))
        machine = execution.state_machine
        return {
            "stateMachineArn": machine.arn,
            "name": machine.name,
            "definition": machine.definition,
            "roleArn": execution.role_arn,
            "updateDate": seconds(execution.start_date),
        }

    def history(self, data: dict[str, Any]) -> Answer:
        """List the events of an execution, also while it runs."""
        events = history_of(self.executions.get(data.get("executionArn", "")))
        return _page("events", events[::-1] if data.get("reverseOrder") else events, data)

    def list(self, data: dict[str, Any]) -> Answer:
        """List the executions of a state machine, the newest first."""
        if data.get("mapRunArn"):
            raise ApiError("ValidationException", "The local cloud keeps no executions of a map run's items.")
        known = self.executions.of_machine(data.get("stateMachineArn", ""))
        wanted = data.get("statusFilter")
        return _page("executions", [_summary(e) for e in known if wanted in (None, status_of(e))], data)

    def stop(self, data: dict[str, Any]) -> Answer:
        """Abort an execution."""
        execution = self.executions.get(data.get("executionArn", ""))
        moment = executions.stop(execution, error=data.get("error"), cause=data.get("cause"))
        return {"stopDate": seconds(moment)}

    def list_map_runs(self, data: dict[str, Any]) -> Answer:
        """List the map runs of an execution."""
        records = map_runs_of(self.executions.get(data.get("executionArn", "")))
        runs = [
            {
                "executionArn": record.execution_arn,
                "mapRunArn": record.map_run_arn,
                "stateMachineArn": record.map_state_machine_arn,
                **_dates(record),
            }
            for record in records
        ]
        return _page("mapRuns", runs, data)

    def describe_map_run(self, data: dict[str, Any]) -> Answer:
        """Describe a map run with its counts so far."""
        record = self.executions.map_run(data.get("mapRunArn", ""))
        counts = maps.counts_of(record)
        return {
            "mapRunArn": record.map_run_arn,
            "executionArn": record.execution_arn,
            "status": str(record.status.value),
            "maxConcurrency": record.max_concurrency,
            "toleratedFailurePercentage": record.tolerated_failure_percentage,
            "toleratedFailureCount": record.tolerated_failure_count,
            "itemCounts": counts,
            "executionCounts": counts,
            **_dates(record),
        }

    def update_map_run(self, data: dict[str, Any]) -> Answer:
        """Change what a map run tolerates; its concurrency does not change while it runs."""
        record = self.executions.map_run(data.get("mapRunArn", ""))
        count, percentage = data.get("toleratedFailureCount"), data.get("toleratedFailurePercentage")
        record.update(data.get("maxConcurrency"), count, percentage)
        return {}

    def send_success(self, data: dict[str, Any]) -> Answer:
        """Answer a token with a result."""
        module = hooks.module("moto.stepfunctions.parser.asl.eval.callback.callback")
        token, output = data.get("taskToken", ""), data.get("output", "")
        try:
            json.loads(output)
        except ValueError as error:
            raise ApiError("InvalidOutput", f"Invalid Output: '{error}'") from error
        _waiting(token).notify(outcome=module.CallbackOutcomeSuccess(callback_id=token, output=output))
        return {}

    def send_failure(self, data: dict[str, Any]) -> Answer:
        """Answer a token with an error."""
        module = hooks.module("moto.stepfunctions.parser.asl.eval.callback.callback")
        token = data.get("taskToken", "")
        outcome = module.CallbackOutcomeFailure(
            callback_id=token, error=data.get("error") or "", cause=data.get("cause") or ""
        )
        _waiting(token).notify(outcome=outcome)
        return {}

    def send_heartbeat(self, data: dict[str, Any]) -> Answer:
        """Say that the work on a token goes on."""
        _waiting(data.get("taskToken", "")).notify_heartbeat()
        return {}


def _waiting(token: str) -> Any:
    task = callbacks.TASKS.get(token)
    if task is None:
        raise ApiError("InvalidToken", "Invalid Token: 'Invalid token'")
    endpoint = task.endpoint
    if not task.waiting or endpoint is None:
        raise ApiError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
    return endpoint


def _summary(execution: Any) -> Answer:
    ended = execution.stop_date if status_of(execution) != "RUNNING" else None
    return {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine_arn,
        "name": execution.name,
        "status": status_of(execution),
        "startDate": seconds(execution.start_date),
        **({"stopDate": seconds(ended)} if ended else {}),
    }


def _dates(record: Any) -> Answer:
    dates = {"startDate": seconds(record.start_date)}
    return dates | ({"stopDate": seconds(record.stop_date)} if record.stop_date else {})


def _page(name: str, items: list[Any], data: dict[str, Any]) -> Answer:
    start = int(data.get("nextToken") or 0)
    size = min(int(data.get("maxResults") or DEFAULT_RESULTS), MOST_RESULTS)
    more = start + size < len(items)
    return {name: items[start : start + size], **({"nextToken": str(start + size)} if more else {})}
