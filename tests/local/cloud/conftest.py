"""A local cloud for the tests of the local cloud, with a small system deployed into it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from holdfast_local.cloud import deploy, lifecycle
from holdfast_local.cloud.clients import client

HERE = Path(__file__).parent
REGION = "eu-central-1"
RUNTIME = f"python3.{sys.version_info.minor}"


def write_assembly(
    directory: Path,
    stacks: dict[str, dict[str, Any]],
    assets: dict[str, Path],
    needs: dict[str, list[str]],
    region: str = REGION,
) -> Path:
    """Write a cloud assembly as `cdk synth` does: each stack with all assets; `{asset}` in a key names one."""
    directory.mkdir(parents=True, exist_ok=True)
    keys = {name: f"{hashlib.sha256(name.encode()).hexdigest()}.zip" for name in assets}
    files = {
        name: {
            "source": {"path": str(path), "packaging": "zip" if path.is_dir() else "file"},
            "destinations": {"here": {"bucketName": bucket_of_assets(), "objectKey": keys[name]}},
        }
        for name, path in assets.items()
    }
    artifacts: dict[str, Any] = {}
    for name, template in stacks.items():
        text = json.dumps(template)
        for asset, key in keys.items():
            text = text.replace(f"{{{asset}}}", key)
        (directory / f"{name}.template.json").write_text(text)
        (directory / f"{name}.assets.json").write_text(json.dumps({"files": files}))
        artifacts[f"{name}.assets"] = {"type": "cdk:asset-manifest", "properties": {"file": f"{name}.assets.json"}}
        artifacts[name] = {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://unknown-account/{region}",
            "properties": {"templateFile": f"{name}.template.json"},
            "dependencies": [f"{name}.assets", *needs.get(name, [])],
        }
    (directory / "manifest.json").write_text(json.dumps({"version": "55.0.0", "artifacts": artifacts}))
    return directory


SDK_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil")
SDK_SERVICES = ("s3", "kms", "stepfunctions", "secretsmanager", "dynamodb", "sqs", "sts", "lambda", "ssm")


def copy_sdk(target: Path) -> Path:
    """Copy the AWS SDK, with the models of a few services, as a layer: functions see nothing of this environment."""
    packages = Path(boto3.__file__).parent.parent
    for name in SDK_PACKAGES:
        ignored = shutil.ignore_patterns("data", "__pycache__") if name == "botocore" else None
        shutil.copytree(packages / name, target / "python" / name, ignore=ignored)
    shutil.copy(packages / "six.py", target / "python")
    data = target / "python" / "botocore" / "data"
    data.mkdir()
    for path in (packages / "botocore" / "data").iterdir():
        if path.is_file():
            shutil.copy(path, data)
        elif path.name in SDK_SERVICES:
            shutil.copytree(path, data / path.name)
    return target


def bucket_of_assets() -> str:
    return "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"


def trust(service: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def role(service: str, *statements: dict[str, Any]) -> dict[str, Any]:
    policies = [{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}]
    properties = {"AssumeRolePolicyDocument": trust(service), **({"Policies": policies} if statements else {})}
    return {"Type": "AWS::IAM::Role", "Properties": properties}


def allow(actions: list[str], resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def function(role_name: str, **properties: Any) -> dict[str, Any]:
    code = {"S3Bucket": {"Fn::Sub": bucket_of_assets()}, "S3Key": "{code}"}
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": code,
            "Handler": "main.main",
            "Runtime": RUNTIME,
            "Role": {"Fn::GetAtt": [role_name, "Arn"]},
            "Timeout": 20,
            "MemorySize": 256,
            "Layers": [{"Ref": "SdkLayer"}],
            **properties,
        },
    }


def base_template() -> dict[str, Any]:
    """Return the system that most tests share: a bucket, functions of several kinds, a role for state machines."""
    any_object = {"Fn::Sub": "${Scratch.Arn}/*"}
    logs = allow(["logs:*"])
    resources = {
        "Scratch": {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}},
        "Other": {"Type": "AWS::S3::Bucket", "Properties": {}},
        "WorkerRole": role(
            "lambda",
            logs,
            allow(["s3:GetObject", "s3:PutObject"], any_object),
            allow(["s3:ListBucket"], {"Fn::GetAtt": ["Scratch", "Arn"]}),
            allow(["states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat"]),
        ),
        "StatesRole": role(
            "states",
            allow(["lambda:InvokeFunction", "s3:*", "states:*", "events:*"]),
        ),
        "ToolLayer": {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {
                "Content": {"S3Bucket": {"Fn::Sub": bucket_of_assets()}, "S3Key": "{layer}"},
                "CompatibleRuntimes": [RUNTIME],
            },
        },
        "SdkLayer": {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {"Content": {"S3Bucket": {"Fn::Sub": bucket_of_assets()}, "S3Key": "{sdk}"}},
        },
        "Failures": {"Type": "AWS::SQS::Queue", "Properties": {}},
        "Worker": function(
            "WorkerRole",
            Layers=[{"Ref": "SdkLayer"}, {"Ref": "ToolLayer"}],
            Environment={"Variables": {"COLOUR": "green", "HOME": "/nowhere"}},
        ),
        "Short": function("WorkerRole", Timeout=1),
        "Small": function("WorkerRole", MemorySize=128),
        "Broken": function("WorkerRole", Handler="broken.main"),
    }
    names = ("Scratch", "Other", "Worker", "Short", "Small", "Broken", "Failures", "WorkerRole")
    outputs = {name: {"Value": {"Ref": name}} for name in names}
    outputs["WorkerArn"] = {"Value": {"Fn::GetAtt": ["Worker", "Arn"]}}
    outputs["SdkLayer"] = {"Value": {"Ref": "SdkLayer"}}
    outputs["StatesRole"] = {"Value": {"Fn::GetAtt": ["StatesRole", "Arn"]}}
    return {"Resources": resources, "Outputs": outputs}


class Cloud:
    """What a test needs of a running local cloud."""

    def __init__(self, endpoint: lifecycle.Endpoint, sdk: Path) -> None:
        self.endpoint, self.sdk = endpoint, sdk
        self.url, self.region = endpoint.url, endpoint.region
        self.runtime = RUNTIME
        self.outputs: dict[str, str] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        return client(service, self.url, region or self.region)

    def deploy(self, directory: Path, template: dict[str, Any], name: str | None = None, **more: Any) -> dict[str, str]:
        """Deploy *template* as a stack of its own and return its outputs."""
        return dict(self.deploy_result(directory, template, name or f"t{uuid.uuid4().hex[:10]}", **more).outputs)

    def deploy_result(self, directory: Path, template: dict[str, Any], name: str, **more: Any) -> deploy.Deployed:
        (found,) = self.deploy_stacks(directory, {name: template}, **more).values()
        return found

    def deploy_stacks(
        self,
        directory: Path,
        stacks: dict[str, dict[str, Any]],
        needs: dict[str, list[str]] | None = None,
        assets: dict[str, Path] | None = None,
        region: str | None = None,
    ) -> dict[str, deploy.Deployed]:
        known = {"code": HERE / "functions", "layer": HERE / "layer", "sdk": self.sdk, **(assets or {})}
        write_assembly(directory, stacks, known, needs or {}, region or self.region)
        return deploy.deploy(directory, endpoint=self.url, region=self.region)

    def invoke(self, function_name: str, event: dict[str, Any], **options: Any) -> Any:
        """Return the payload, with `FunctionError` beside it when the function failed."""
        answer = self.client("lambda").invoke(FunctionName=function_name, Payload=json.dumps(event), **options)
        payload = json.loads(answer["Payload"].read() or b"null")
        return {"FunctionError": answer["FunctionError"], **payload} if "FunctionError" in answer else payload

    def run(self, definition: dict[str, Any], value: Any = None, *, wait: bool = True, seconds: float = 60) -> Any:
        """Create a state machine, start it and wait for its end; return what DescribeExecution says, and `took`."""
        states = self.client("stepfunctions")
        machine = states.create_state_machine(
            name=f"m{uuid.uuid4().hex[:12]}", definition=json.dumps(definition), roleArn=self.outputs["StatesRole"]
        )["stateMachineArn"]
        started = time.monotonic()
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(value or {}))["executionArn"]
        return self.await_end(arn, started, seconds) if wait else arn

    def await_end(self, arn: str, started: float, seconds: float = 60) -> Any:
        states = self.client("stepfunctions")
        while (found := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() - started < seconds, f"still running after {seconds} s"
            time.sleep(0.02)
        found["took"] = time.monotonic() - started
        found["result"] = json.loads(found["output"]) if "output" in found else None
        return found

    def eventually(self, look: Callable[[], Any], seconds: float = 30) -> Any:
        """Return what *look* gives as soon as it is true."""
        limit = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < limit, "it did not happen"
            time.sleep(0.05)
        return found


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    state = tmp_path_factory.mktemp("cloud")
    running = Cloud(lifecycle.start(state), copy_sdk(state / "sdk"))
    try:
        running.outputs = running.deploy(state / "assembly", base_template())
        yield running
    finally:
        lifecycle.down(state)
