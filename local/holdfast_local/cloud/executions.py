"""
The executions of state machines: started, described, listed and stopped as by Step Functions' API.

ministack keeps the state machines (CloudFormation creates them there); the interpreter runs them. What
the API answers is read from the interpreter's own records, so progress bars see history, map runs and
their counts as in AWS.
"""

from __future__ import annotations

import datetime
import json
import logging
import threading
import uuid
from dataclasses import dataclass
from typing import Any

from holdfast_local.cloud import hooks

PARSER = "moto.stepfunctions.parser"
MOST_INPUT_BYTES = 256 * 1024
MOST_CAUSE_CHARACTERS = 400

LOG = logging.getLogger(__name__)


class ApiError(Exception):
    """An error that the API answers with; `code` is what clients match on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Machine:
    """A state machine as it was when an execution started."""

    arn: str
    name: str
    definition: str
    sm_type: str
    revision_id: str | None = None


class Executions:
    """Every execution of this server, by its ARN, in the order in which they started."""

    def __init__(self) -> None:
        self._all: dict[str, Any] = {}
        self._lock = threading.Lock()

    def start(self, arn: str, machine: dict[str, Any], *, name: str, text: str) -> Any:
        """
        Start an execution of *machine* called *name* with the JSON *text* as input.

        The same name and input again while it runs is the same execution.
        """
        _check_input(text)
        region, account = arn.split(":")[3:5]
        execution_arn = f"arn:aws:states:{region}:{account}:execution:{machine['name']}:{name}"
        with self._lock:
            known = self._all.get(execution_arn)
            if known is not None:
                return _same_or_refuse(known, text)
            execution = self._all[execution_arn] = _new_execution(arn, machine, execution_arn, name, text)
        _forget_ended_threads()
        execution.start()
        return execution

    def get(self, arn: str) -> Any:
        """Return the execution called *arn*; raise ExecutionDoesNotExist."""
        if arn not in self._all:
            raise ApiError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return self._all[arn]

    def of_machine(self, arn: str) -> list[Any]:
        """List the executions of a state machine, the newest first."""
        return [each for each in reversed(list(self._all.values())) if each.state_machine_arn == arn]

    def map_run(self, arn: str) -> Any:
        """Return the record of a map run; raise ResourceNotFound."""
        for execution in list(self._all.values()):
            for record in map_runs_of(execution):
                if record.map_run_arn == arn:
                    return record
        raise ApiError("ResourceNotFound", f"Map Run Does Not Exist: '{arn}'")


def map_runs_of(execution: Any) -> list[Any]:
    """List the map runs of *execution* so far."""
    environment = execution.exec_worker.env if execution.exec_worker else None
    return list(environment.map_run_record_pool_manager.get_all()) if environment else []


def history_of(execution: Any) -> list[dict[str, Any]]:
    """List the events of *execution* so far, with times in seconds since the epoch."""
    events = execution.to_history_output()["events"] or [_first_event(execution)]
    return [{**event, "timestamp": seconds(event["timestamp"])} for event in events]


def _first_event(execution: Any) -> dict[str, Any]:
    # What the interpreter writes down some milliseconds after the start.
    return {
        "timestamp": execution.start_date,
        "type": "ExecutionStarted",
        "id": 1,
        "previousEventId": 0,
        "executionStartedEventDetails": {"input": execution.execution_input, "roleArn": execution.role_arn},
    }


def seconds(moment: datetime.datetime | str) -> float:
    """Return *moment* as the API gives times: seconds since the epoch."""
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return moment.timestamp()


def stop(execution: Any, *, error: str | None, cause: str | None) -> datetime.datetime:
    """Abort *execution* and say when; one that has ended stays as it is."""
    now = datetime.datetime.now(tz=datetime.UTC)
    if status_of(execution) == "RUNNING" and execution.exec_worker.env is not None:
        execution.stop(stop_date=now, error=error, cause=cause)
        execution.error, execution.cause = error, cause
    stopped: datetime.datetime = execution.stop_date or now
    return stopped


def status_of(execution: Any) -> str:
    """Return RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED."""
    return str(execution.exec_status.value)


def _check_input(text: str) -> None:
    if len(text.encode()) > MOST_INPUT_BYTES:
        raise ApiError("InvalidExecutionInput", f"Invalid State Machine Execution Input: over {MOST_INPUT_BYTES} bytes")
    try:
        json.loads(text)
    except ValueError as error:
        raise ApiError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'") from error


def _same_or_refuse(known: Any, text: str) -> Any:
    if known.execution_input == text and status_of(known) == "RUNNING":
        return known
    raise ApiError("ExecutionAlreadyExists", f"Execution Already Exists: '{known.exec_arn}'")


def _new_execution(arn: str, machine: dict[str, Any], execution_arn: str, name: str, text: str) -> Any:
    kind = hooks.module(f"{PARSER}.backend.execution").Execution
    region, account = arn.split(":")[3:5]
    snapshot = Machine(arn, machine["name"], as_parsed(machine["definition"]), machine.get("type", "STANDARD"))
    return kind(
        name=name,
        sm_type=snapshot.sm_type,
        role_arn=machine["roleArn"],
        exec_arn=execution_arn,
        account_id=account,
        region_name=region,
        state_machine=snapshot,
        start_date=datetime.datetime.now(tz=datetime.UTC),
        cloud_watch_logging_session=None,
        activity_store={},
        input_data=text,
    )


def as_parsed(definition: str) -> str:
    """
    Write *definition* so that moto's grammar takes it.

    It wants a decimal point in `ToleratedFailurePercentage`; AWS takes `50`.
    """

    def convert(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {
            key: float(value) if key == "ToleratedFailurePercentage" and isinstance(value, int) else value
            for key, value in pairs
        }

    return json.dumps(json.loads(definition, object_pairs_hook=convert))


def new_name() -> str:
    """Return a name for an execution that was started without one."""
    return str(uuid.uuid4())


def log_ends() -> None:
    """Write one line to the server's log for each execution that does not succeed."""
    communication = hooks.module(f"{PARSER}.backend.execution").BaseExecutionWorkerCommunication

    def terminated(self: Any) -> None:
        original(self)
        execution = self.execution
        if status_of(execution) != "SUCCEEDED":
            cause = (execution.cause or "")[:MOST_CAUSE_CHARACTERS]
            LOG.warning("%s %s: %s %s", execution.exec_arn, status_of(execution), execution.error, cause)

    original = hooks.replace(communication, "terminated", terminated, expects=("self",))
    # The interpreter's own messages are the whole state each time.
    logging.getLogger("moto").setLevel(logging.CRITICAL)


def _forget_ended_threads() -> None:
    # moto keeps every thread it ever started; a long-lived server must not.
    threads = hooks.module(f"{PARSER}.utils").TMP_THREADS
    threads[:] = [thread for thread in threads if thread.is_alive()]
