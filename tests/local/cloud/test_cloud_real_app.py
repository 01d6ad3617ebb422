"""
The real app, deployed here: what its template says about safety can be read back from the services.

A stack that completes proves little (properties are dropped without a word elsewhere), so each setting that
protects something is asked for where a function or an auditor would ask.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from holdfast_local.cloud import deploy, fire

pytestmark = pytest.mark.xdist_group("real app")

CONFIGURATION = """
[holdfast]
name = "readback"
region = "eu-central-1"

[databases.shop]
provider = "postgres"
secret = "shop"
timezone = "Europe/Berlin"
"""

SYNTHESISE = """
from pathlib import Path
from holdfast.configuration import load
from holdfast_infra.app import synthesise

def layers(target):
    found = {name: Path("layers", name) for name in ("holdfast", "dependencies", "pgclient")}
    for name, path in found.items():
        path.mkdir(parents=True)
        (path / "content").write_text(name)
    return found

synthesise(load("holdfast.toml"), target="host", output=Path("out"), build=layers)
"""


@pytest.fixture(scope="module")
def app(cloud, tmp_path_factory):
    """Synthesise the app with empty layers and deploy it; return its templates by stack."""
    place = tmp_path_factory.mktemp("app")
    (place / "holdfast.toml").write_text(CONFIGURATION)
    environment = {**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20"}
    subprocess.run([sys.executable, "-c", SYNTHESISE], cwd=place, env=environment, check=True, timeout=180)
    deployed = deploy.deploy(place / "out", endpoint=cloud.url, region=cloud.region)
    assert all(stack.changed for stack in deployed.values())
    return {
        path.name.split(".")[0].rsplit("-", 1)[1]: json.loads(path.read_text())
        for path in (place / "out").glob("*.template.json")
    }


@pytest.fixture
def physical(cloud, app):
    """Return a function that lists the physical ids of a stack's resources of one type."""

    def listed(stack, kind):
        pages = cloud.client("cloudformation").get_paginator("list_stack_resources")
        found = [
            one for page in pages.paginate(StackName=f"readback-{stack}") for one in page["StackResourceSummaries"]
        ]
        return {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for one in found
            if one["ResourceType"] == f"AWS::{kind}"
        }

    return listed


def declared(app, stack, logical_id):
    return app[stack]["Resources"][logical_id]["Properties"]


def test_every_bucket_is_versioned_or_private_and_encrypted_as_declared(cloud, app, physical) -> None:
    s3 = cloud.client("s3")
    buckets = physical("storage", "S3::Bucket")

    assert buckets
    for logical_id, bucket in buckets.items():
        said = declared(app, "storage", logical_id)
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        algorithm = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0][
            "ApplyServerSideEncryptionByDefault"
        ]["SSEAlgorithm"]
        assert (
            algorithm
            == said["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"][
                "SSEAlgorithm"
            ]
        )
        assert "aws:SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]
        versioned = said.get("VersioningConfiguration", {}).get("Status")
        assert s3.get_bucket_versioning(Bucket=bucket).get("Status") == versioned


def test_a_bucket_that_is_declared_locked_locks_what_is_put(cloud, app, physical) -> None:
    s3 = cloud.client("s3")
    locked = {
        name: bucket
        for name, bucket in physical("storage", "S3::Bucket").items()
        if declared(app, "storage", name).get("ObjectLockEnabled")
    }

    assert locked
    for name, bucket in locked.items():
        said = declared(app, "storage", name).get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
        kept = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        assert kept["ObjectLockEnabled"] == "Enabled"
        if said:
            assert kept["Rule"]["DefaultRetention"] == said
            version = s3.put_object(Bucket=bucket, Key="locked", Body=b"x")["VersionId"]
            mode = s3.get_object_retention(Bucket=bucket, Key="locked", VersionId=version)["Retention"]["Mode"]
            assert mode == said["Mode"]


def test_the_catalogue_is_protected(cloud, physical) -> None:
    catalogue = cloud.client("dynamodb")
    tables = [*physical("storage", "DynamoDB::GlobalTable").values(), *physical("storage", "DynamoDB::Table").values()]

    assert tables
    for table in tables:
        backups = catalogue.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        described = catalogue.describe_table(TableName=table)["Table"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        assert described["DeletionProtectionEnabled"] is True
        assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_each_key_has_the_policy_and_the_kind_that_is_declared(cloud, app, physical) -> None:
    keys = cloud.client("kms")
    found = physical("storage", "KMS::Key")

    assert found
    for name, key in found.items():
        said = declared(app, "storage", name)
        policy = json.loads(keys.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        assert len(policy["Statement"]) == len(said["KeyPolicy"]["Statement"])
        assert keys.describe_key(KeyId=key)["KeyMetadata"]["KeySpec"] == said.get("KeySpec", "SYMMETRIC_DEFAULT")


def test_each_function_has_the_limits_log_and_failure_queue_that_are_declared(cloud, app, physical) -> None:
    functions, logs = cloud.client("lambda"), cloud.client("logs")
    found = physical("workflows", "Lambda::Function")

    assert len(found) > 10
    for name, function in found.items():
        said = declared(app, "workflows", name)
        config = functions.get_function_configuration(FunctionName=function)
        group = config["LoggingConfig"]["LogGroup"]
        assert (config["Timeout"], config["MemorySize"]) == (said["Timeout"], said["MemorySize"])
        assert config["LoggingConfig"]["LogFormat"] == "JSON"
        assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"]
        assert set(config["Environment"]["Variables"]) == set(said["Environment"]["Variables"])
        assert bool(config.get("DeadLetterConfig")) == bool(said.get("DeadLetterConfig"))
        assert len(config["Layers"]) == len(said["Layers"])


def test_each_function_has_a_role_of_its_own(cloud, physical) -> None:
    functions = cloud.client("lambda")

    roles = [
        functions.get_function_configuration(FunctionName=function)["Role"]
        for function in physical("workflows", "Lambda::Function").values()
    ]

    assert len(set(roles)) == len(roles)


def test_each_schedule_is_in_the_zone_of_its_database(cloud, app) -> None:
    scheduler = cloud.client("scheduler")
    found = [each for each in fire.schedules(endpoint=cloud.url, region=cloud.region) if "readback" in "/".join(each)]

    assert found
    zones = {
        name: scheduler.get_schedule(GroupName=group, Name=name)["ScheduleExpressionTimezone"] for group, name in found
    }
    # Every hour is that of the clock everywhere, and copies are swept for all databases at once.
    everywhere = {name for name in zones if name.endswith(("-hourly", "-sweep", "-replication"))}
    assert everywhere
    assert zones == dict.fromkeys(zones, "Europe/Berlin") | dict.fromkeys(everywhere, "UTC")


def test_each_state_machine_is_one_that_the_interpreter_takes(cloud, physical) -> None:
    states = cloud.client("stepfunctions")
    machines = physical("workflows", "StepFunctions::StateMachine")

    assert machines
    for machine in machines.values():
        definition = states.describe_state_machine(stateMachineArn=machine)["definition"]
        assert "${" not in definition
        assert json.loads(definition)["StartAt"]
