"""The local cloud with stand-ins for the functions, and how executions of its machines end."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from holdfast_local.cloud.clients import client

REGION = "eu-central-1"
SDK = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil")
SERVICES = ("s3", "dynamodb", "stepfunctions")


@dataclass(frozen=True)
class Ended:
    """How an execution ended."""

    name: str
    status: str
    error: str
    cause: str
    output: Any
    history: list[dict[str, Any]]

    def entered(self) -> list[str]:
        """Return the names of the states that were entered, in order."""
        return [
            details["name"]
            for event in self.history
            for key, details in event.items()
            if key == "stateEnteredEventDetails"
        ]


@dataclass(frozen=True)
class Cloud:
    """The running local cloud."""

    endpoint: str
    outputs: Mapping[str, str]

    def client(self, service: str) -> Any:
        """Return a client of *service* as the deployer."""
        return client(service, self.endpoint, REGION)

    def client_of(self, role: str, service: str) -> Any:
        """Return a client of *service* with the rights of *role*."""
        arn = self.client("iam").get_role(RoleName=role)["Role"]["Arn"]
        session = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )

    def run(self, machine: str, given: dict[str, Any]) -> Ended:
        """Run *machine* (an output's key) and wait for its end."""
        states, name = self.client("stepfunctions"), f"t{uuid.uuid4().hex[:8]}"
        execution = states.start_execution(stateMachineArn=self.outputs[machine], name=name, input=json.dumps(given))[
            "executionArn"
        ]
        limit = time.monotonic() + 60
        while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < limit, f"{execution} still runs"
            time.sleep(0.05)
        history = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        output = json.loads(found.get("output") or "null")
        return Ended(name, found["status"], found.get("error", ""), found.get("cause", ""), output, history)

    def waits(self, machine: str, given: dict[str, Any], state: str) -> bool:
        """Answer whether *machine* comes to *state*; the run is stopped then."""
        states, limit = self.client("stepfunctions"), time.monotonic() + 30
        execution = states.start_execution(stateMachineArn=self.outputs[machine], input=json.dumps(given))[
            "executionArn"
        ]
        entered: list[str] = []
        while state not in entered and time.monotonic() < limit:
            events = states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
            entered = [one["stateEnteredEventDetails"]["name"] for one in events if "stateEnteredEventDetails" in one]
            time.sleep(0.05)
        states.stop_execution(executionArn=execution)
        return state in entered

    def note(self, name: str) -> Any:
        """Return what a stand-in has noted under *name*."""
        key = {"pk": {"S": name}, "sk": {"S": "note"}}
        item = self.client("dynamodb").get_item(TableName=self.outputs["CatalogueTable"], Key=key).get("Item")
        return item["value"]["S"] if item else None

    def objects(self, prefix: str) -> set[str]:
        """Return the last parts of the scratch bucket's keys below *prefix*."""
        found = self.client("s3").list_objects_v2(Bucket=self.outputs["ScratchBucket"], Prefix=prefix)
        return {one["Key"].rpartition("/")[2] for one in found.get("Contents", [])}


def copy_sdk(layer: Path) -> None:
    """Copy boto3 with a few services into a layer: functions see nothing of this environment."""
    packages, python = Path(boto3.__file__).parent.parent, layer / "python"
    for name in SDK:
        ignored = shutil.ignore_patterns("data", "__pycache__") if name == "botocore" else None
        shutil.copytree(packages / name, python / name, ignore=ignored)
    shutil.copy(packages / "six.py", python)
    data = python / "botocore" / "data"
    data.mkdir()
    for path in (packages / "botocore" / "data").iterdir():
        if path.is_file():
            shutil.copy(path, data)
        elif path.name in SERVICES:
            shutil.copytree(path, data / path.name)
