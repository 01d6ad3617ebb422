"""
Fire a deployed schedule now, exactly as EventBridge Scheduler would: its target, its input, its role.

The target is called with the credentials of the schedule's own role, so that a missing permission shows.
"""

from __future__ import annotations

import datetime
import json
import uuid
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from holdfast_local.cloud.clients import client, client_as
from holdfast_local.cloud.errors import ScheduleRefused

TARGETS = {"lambda": "lambda", "states": "stepfunctions", "sqs": "sqs"}


@dataclass(frozen=True)
class Fired:
    """What was called; `execution` is the ARN when the target is a state machine."""

    schedule: str
    target: str
    text: str
    execution: str | None = None


def fire(
    name: str,
    *,
    endpoint: str,
    region: str,
    group: str = "default",
    now: datetime.datetime | None = None,
) -> Fired:
    """Fire the schedule *name* of *group*; *now* is the time that its input is told, by default the present."""
    schedule = _schedule(name, group, endpoint, region)
    if schedule["State"] != "ENABLED":
        raise ScheduleRefused(f"Schedule {group}/{name} is disabled.", hint="Enable it in holdfast.toml and deploy.")
    moment = now or datetime.datetime.now(tz=datetime.UTC)
    target = schedule["Target"]
    text = with_context(target.get("Input", "{}"), arn=schedule["Arn"], now=moment)
    execution = _call(target, text, f"{group}/{name}", endpoint, region)
    return Fired(f"{group}/{name}", target["Arn"], text, execution)


def schedules(*, endpoint: str, region: str) -> list[tuple[str, str]]:
    """List the deployed schedules as pairs of group and name."""
    pages = client("scheduler", endpoint, region).get_paginator("list_schedules").paginate()
    return sorted((each["GroupName"], each["Name"]) for page in pages for each in page["Schedules"])


def with_context(text: str, *, arn: str, now: datetime.datetime) -> str:
    """
    Fill in the context attributes in a target's input.

    https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
    """
    values = {
        "schedule-arn": arn,
        "scheduled-time": now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for attribute, value in values.items():
        text = text.replace(f"<aws.scheduler.{attribute}>", value)
    return text


def _schedule(name: str, group: str, endpoint: str, region: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = client("scheduler", endpoint, region).get_schedule(Name=name, GroupName=group)
    except ClientError as error:
        raise ScheduleRefused(f"There is no schedule {group}/{name} in {region}.") from error
    return found


def _call(target: dict[str, Any], text: str, name: str, endpoint: str, region: str) -> str | None:
    kind = target["Arn"].split(":")[2]
    if kind not in TARGETS:
        raise ScheduleRefused(f"Schedule {name} calls {target['Arn']}, which cannot be called here.")
    try:
        as_role = _client_of_role(TARGETS[kind], target["RoleArn"], endpoint, region)
        return _send(as_role, kind, target["Arn"], text)
    except ClientError as error:
        raise ScheduleRefused(f"Schedule {name} may not call {target['Arn']}: {error}") from error


def _send(as_role: Any, kind: str, arn: str, text: str) -> str | None:
    if kind == "states":
        return str(as_role.start_execution(stateMachineArn=arn, input=text)["executionArn"])
    if kind == "lambda":
        as_role.invoke(FunctionName=arn, InvocationType="Event", Payload=text.encode())
    else:
        queue = arn.rsplit(":", 1)[1]
        as_role.send_message(QueueUrl=f"{as_role.meta.endpoint_url}/{arn.split(':')[4]}/{queue}", MessageBody=text)
    return None


def _client_of_role(service: str, role: str, endpoint: str, region: str) -> Any:
    session = client("sts", endpoint, region).assume_role(RoleArn=role, RoleSessionName="scheduler")["Credentials"]
    credentials = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    return client_as(credentials, service, endpoint, region)


def described(fired: Fired) -> str:
    """Return one line for people."""
    return f"{fired.schedule} called {fired.target} with {json.dumps(json.loads(fired.text))}"
