"""
Spell AWS SDK integrations as Step Functions does.

Step Functions follows the Java SDK: `DbInstanceIdentifier` for `DBInstanceIdentifier`, errors such as
`S3.NoSuchKeyException` and `Rds.DbSnapshotNotFoundException`, times as ISO text. moto leaves both
directions of the translation empty.
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Any

import botocore.session
from botocore import xform_name

from holdfast_local.cloud import hooks

SERVICE = "moto.stepfunctions.parser.asl.component.state.exec.state_task.service"
SERVICE_NAMES = {
    "dynamodb": "DynamoDb",
    "secretsmanager": "SecretsManager",
    "cloudwatchlogs": "CloudWatchLogs",
}


def install() -> None:
    """Translate parameters, results and error names of all service integrations."""
    tasks = hooks.module(f"{SERVICE}.state_task_service").StateTaskService
    sdk = hooks.module(f"{SERVICE}.state_task_service_aws_sdk").StateTaskServiceAwsSdk

    def parameters_in(
        self: Any, parameters: Any, boto_service_name: Any = None, service_action_name: Any = None
    ) -> None:
        shape = _operation(self, boto_service_name, service_action_name).input_shape
        if shape is not None:
            self._to_boto_request(parameters, shape)

    def response_out(self: Any, response: Any, boto_service_name: Any = None, service_action_name: Any = None) -> None:
        shape = _operation(self, boto_service_name, service_action_name).output_shape
        if shape is not None:
            self._from_boto_response(response, shape)
        if isinstance(response, dict):
            plain = as_json(response)
            response.clear()
            response.update(plain)

    expected = ("self", "parameters", "boto_service_name", "service_action_name")
    hooks.replace(tasks, "_normalise_parameters", parameters_in, expects=expected)
    expected = ("self", "response", "boto_service_name", "service_action_name")
    hooks.replace(tasks, "_normalise_response", response_out, expects=expected)
    hooks.replace(sdk, "_normalise_service_error_name", staticmethod(service_name), expects=("service_name",))
    hooks.replace(sdk, "_normalise_exception_name", staticmethod(error_name), expects=("norm_service_name", "ex"))


def service_name(api: str) -> str:
    """Return the name of a service in error names: `dynamodb` is `DynamoDb`, `rds` is `Rds`."""
    return SERVICE_NAMES.get(api.lower(), api[:1].upper() + api[1:])


def error_name(service: str, error: Exception) -> str:
    """Return the name under which Step Functions reports *error* of *service*."""
    kind = type(error).__name__
    stem = re.sub("(Fault|Exception)$", "", service if kind == "ClientError" else kind)
    return f"{service}.{re.sub(r'^DB(?=[A-Z])', 'Db', stem)}Exception"


def as_json(value: Any) -> Any:
    """Return *value* with its times as ISO text in UTC."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def _operation(task: Any, service: Any, action: Any) -> Any:
    return _model_of(task._get_boto_service_name(service), task._get_boto_service_action(action))


@functools.cache
def _model_of(service: str, action: str) -> Any:
    model = botocore.session.get_session().get_service_model(service)
    name = next(name for name in model.operation_names if xform_name(name) == xform_name(action))
    return model.operation_model(name)
