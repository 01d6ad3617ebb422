"""
Run the functions of the local cloud in processes of their own, with their role's permissions.

Differences from AWS that remain:

- no `/opt` and `/var/task`: layers and code lie elsewhere (PATH, PYTHONPATH, LAMBDA_TASK_ROOT lead there);
- libraries of layers come before the system's (LD_LIBRARY_PATH), programs of layers before the system's (PATH);
- the network of the machine is visible: a VPC has no effect;
- memory is read every 50 ms and counts resident pages of all processes, so a short peak may pass;
- `/tmp` is a directory named by TMPDIR; what exceeds its size is noticed within a second, and then the
  environment ends instead of the write failing;
- the processor share does not depend on the memory setting;
- a function that invokes itself is not stopped by loop detection;
- retries of asynchronous events come after 1 s and 2 s, not minutes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from holdfast_local.cloud import hooks
from holdfast_local.cloud.function_spec import FunctionSpec, Outcome, failure
from holdfast_local.cloud.runner import Runner

LOG = logging.getLogger(__name__)
MOST_LOG_BYTES = 4096  # what `LogType=Tail` returns


def install(runner: Runner) -> None:
    """Let every invocation that ministack accepts be carried out by *runner*."""
    service = hooks.module("ministack.services.lambda_svc")

    def execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        try:
            outcome = runner.invoke(spec_of(func), json.dumps(event).encode(), request_id)
        except Exception as error:
            LOG.exception("An environment could not be started")
            outcome = failure(request_id, "Sandbox.Failed", f"The local cloud could not run it: {error}")
        return result_of(outcome)

    hooks.replace(service, "_execute_function_warm", execute, expects=("func", "event", "request_id"))
    hooks.replace(
        service,
        "_emit_lambda_logs",
        _log_already_written,
        expects=("func", "request_id", "log_text", "error", "duration_ms", "log_source"),
    )


def _log_already_written(*_: Any, **__: Any) -> None:
    """Do nothing: the environment's own log has written the lines while they came."""


def credentials_of(spec: FunctionSpec, *, endpoint: str, elsewhere: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment that leads the function's calls here, under its own role, and those *elsewhere* there."""
    service = hooks.module("ministack.core.lambda_runtime")
    session = service.execution_credentials({"FunctionArn": spec.arn, "Role": spec.role, "FunctionName": spec.name})
    return {**session, "AWS_ENDPOINT_URL": endpoint, **elsewhere}


def spec_of(func: dict[str, Any]) -> FunctionSpec:
    """Read ministack's record of a function."""
    service = hooks.module("ministack.services.lambda_svc")
    config = func.get("config") or func
    logs = config.get("LoggingConfig") or {}
    return FunctionSpec(
        name=config["FunctionName"],
        arn=config["FunctionArn"],
        region=config["FunctionArn"].split(":")[3],
        version=config.get("Version", "$LATEST"),
        handler=config["Handler"],
        runtime=config["Runtime"],
        memory_mb=int(config["MemorySize"]),
        timeout_s=float(config["Timeout"]),
        tmp_mb=int((config.get("EphemeralStorage") or {}).get("Size", 512)),
        role=config["Role"],
        environment=service._runtime_env_vars(config),
        package=func.get("code_zip") or b"",
        layers=tuple(found for layer in config.get("Layers", []) if (found := service._resolve_layer_zip(layer))),
        log_group=logs.get("LogGroup") or f"/aws/lambda/{config['FunctionName']}",
        log_format=logs.get("LogFormat", "Text"),
        log_level=logs.get("ApplicationLogLevel", ""),
    )


def result_of(outcome: Outcome) -> dict[str, Any]:
    """Give an outcome the shape in which ministack expects the result of an execution."""
    result: dict[str, Any] = {
        "body": json.loads(outcome.payload) if outcome.payload else None,
        "log": "\n".join(outcome.log)[-MOST_LOG_BYTES:],
    }
    if outcome.function_error:
        result |= {"error": True, "function_error": outcome.function_error}
    return result
