"""Deploy a synthesized cloud assembly into the local cloud, as `cdk deploy --all` does into AWS."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from holdfast_local.cloud.clients import ACCOUNT, client
from holdfast_local.cloud.cloud_assembly import Asset, Stack, read_stacks
from holdfast_local.cloud.errors import DeploymentFailed
from holdfast_local.cloud.zipped import zip_directory

QUALIFIER = "hnb659fds"
BOOTSTRAP_VERSION = "30"
MOST_INLINE_BYTES = 51_200  # a longer template must lie on S3
POLL_SECONDS = 0.1
MOST_SECONDS = 300.0
BROKEN = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}


@dataclass(frozen=True)
class Deployed:
    """What a stack came to: its outputs, and whether anything changed."""

    stack: str
    region: str
    outputs: Mapping[str, str]
    changed: bool
    seconds: float


def deploy(
    assembly: Path, *, endpoint: str, region: str, report: Callable[[Deployed], None] = lambda _: None
) -> dict[str, Deployed]:
    """
    Bring every stack of *assembly* up to date; return them by name, those of other regions as `REGION/NAME`.

    Repeatable: an unchanged stack stays as it is. A stack without a region goes to *region*. *report* is
    called after each stack.
    """
    deployed: dict[str, Deployed] = {}
    for stack in read_stacks(assembly):
        place = stack.region or region
        done = _StackDeployment(stack, endpoint, place).run()
        deployed[stack.name if place == region else f"{place}/{stack.name}"] = done
        report(done)
    return deployed


class _StackDeployment:
    def __init__(self, stack: Stack, endpoint: str, region: str) -> None:
        self._stack, self._endpoint, self._region = stack, endpoint, region
        self._s3 = client("s3", endpoint, region)
        self._cloudformation = client("cloudformation", endpoint, region)

    def run(self) -> Deployed:
        started = time.monotonic()
        self._bootstrap()
        for asset in self._stack.assets:
            self._publish(asset)
        changed = self._apply()
        outputs = self._described().get("Outputs", [])
        return Deployed(
            stack=self._stack.name,
            region=self._region,
            outputs={output["OutputKey"]: output["OutputValue"] for output in outputs},
            changed=changed,
            seconds=time.monotonic() - started,
        )

    def _bootstrap(self) -> None:
        bucket = f"cdk-{QUALIFIER}-assets-{ACCOUNT}-{self._region}"
        where = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
        try:
            self._s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
        except self._s3.exceptions.BucketAlreadyOwnedByYou:
            return
        client("ssm", self._endpoint, self._region).put_parameter(
            Name=f"/cdk-bootstrap/{QUALIFIER}/version", Value=BOOTSTRAP_VERSION, Type="String", Overwrite=True
        )

    def _publish(self, asset: Asset) -> None:
        bucket, key = self._named(asset.bucket), self._named(asset.key)
        try:
            self._s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            body = zip_directory(asset.source) if asset.packaging == "zip" else asset.source.read_bytes()
            self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def _named(self, text: str) -> str:
        for name, value in {"AccountId": ACCOUNT, "Region": self._region, "Partition": "aws"}.items():
            text = text.replace(f"${{AWS::{name}}}", value)
        return text

    def _apply(self) -> bool:
        status = self._status()
        if status in BROKEN:
            self._delete()
            status = None
        if not (self._create() if status is None else self._update()):
            return False
        self._await_end()
        return True

    def _request(self) -> dict[str, Any]:
        return {
            "StackName": self._stack.name,
            "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in self._stack.parameters.items()],
            "Tags": [{"Key": key, "Value": value} for key, value in self._stack.tags.items()],
            **self._template(),
        }

    def _template(self) -> dict[str, str]:
        body = self._stack.template_file.read_text(encoding="utf-8")
        if len(body.encode()) < MOST_INLINE_BYTES:
            return {"TemplateBody": body}
        bucket = f"cdk-{QUALIFIER}-assets-{ACCOUNT}-{self._region}"
        key = f"templates/{self._stack.name}.json"
        self._s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
        return {"TemplateURL": f"{self._endpoint}/{bucket}/{key}"}

    def _create(self) -> bool:
        try:
            self._cloudformation.create_stack(**self._request(), EnableTerminationProtection=self._stack.protected)
        except ClientError as error:
            raise DeploymentFailed(f"Stack {self._stack.name} cannot be created: {error}") from error
        return True

    def _update(self) -> bool:
        try:
            self._cloudformation.update_stack(**self._request())
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return False
            raise DeploymentFailed(f"Stack {self._stack.name} cannot be updated: {error}") from error
        return True

    def _delete(self) -> None:
        self._cloudformation.delete_stack(StackName=self._stack.name)
        limit = time.monotonic() + MOST_SECONDS
        while self._status() not in (None, "DELETE_FAILED") and time.monotonic() < limit:
            time.sleep(POLL_SECONDS)

    def _await_end(self) -> None:
        limit = time.monotonic() + MOST_SECONDS
        while (status := self._status() or "").endswith("IN_PROGRESS"):
            if time.monotonic() > limit:
                raise DeploymentFailed(f"Stack {self._stack.name} is still {status} after {MOST_SECONDS:.0f} s.")
            time.sleep(POLL_SECONDS)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise DeploymentFailed(f"Stack {self._stack.name} is {status}: {'; '.join(self._reasons())}.")

    def _status(self) -> str | None:
        try:
            status = str(self._described()["StackStatus"])
        except ClientError:
            return None
        return None if status == "DELETE_COMPLETE" else status

    def _described(self) -> dict[str, Any]:
        stacks: list[dict[str, Any]] = self._cloudformation.describe_stacks(StackName=self._stack.name)["Stacks"]
        return stacks[0]

    def _reasons(self) -> list[str]:
        events = self._cloudformation.describe_stack_events(StackName=self._stack.name)["StackEvents"]
        failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
        reasons = [f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', e['ResourceStatus'])}" for e in failed]
        return reasons or [str(self._described().get("StackStatusReason", "no reason given"))]
