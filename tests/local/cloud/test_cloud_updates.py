"""Stacks that change: what is there is kept, what the template says new takes effect."""

from __future__ import annotations

import json
import uuid

import pytest


@pytest.fixture
def stack(cloud, tmp_path):
    """Return a function that deploys one resource again and again under the same name."""
    name = f"u{uuid.uuid4().hex[:10]}"
    numbers = iter(range(100))

    def deploy(kind, **properties):
        template = {
            "Resources": {"R": {"Type": kind, "Properties": properties}},
            "Outputs": {"R": {"Value": {"Ref": "R"}}},
        }
        return cloud.deploy(tmp_path / str(next(numbers)), template, name)["R"]

    return deploy


def rule(days):
    return {
        "Rules": [{"Id": "r", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days}}]
    }


def test_a_bucket_keeps_its_objects_and_takes_its_new_configuration(cloud, stack) -> None:
    bucket = stack("AWS::S3::Bucket", LifecycleConfiguration=rule(1))
    s3 = cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"kept")

    assert stack("AWS::S3::Bucket", LifecycleConfiguration=rule(5)) == bucket

    found = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]
    assert found["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 5}
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_a_table_keeps_its_items_when_an_index_is_added(cloud, stack) -> None:
    def properties(*indexes):
        names = ["pk", *(f"g{index}" for index in indexes)]
        keys = {"AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names]}
        secondary = [
            {
                "IndexName": f"index{index}",
                "KeySchema": [{"AttributeName": f"g{index}", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index in indexes
        ]
        return {
            **keys,
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
            "Replicas": [
                {"Region": cloud.region, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
            ],
            **({"GlobalSecondaryIndexes": secondary} if secondary else {}),
        }

    catalogue = cloud.client("dynamodb")
    table = stack("AWS::DynamoDB::GlobalTable", **properties(1))
    catalogue.put_item(TableName=table, Item={"pk": {"S": "a"}, "g1": {"S": "x"}, "g2": {"S": "y"}})

    assert stack("AWS::DynamoDB::GlobalTable", **properties(1, 2)) == table

    found = catalogue.query(
        TableName=table,
        IndexName="index2",
        KeyConditionExpression="g2 = :y",
        ExpressionAttributeValues={":y": {"S": "y"}},
    )
    assert found["Count"] == 1


def test_a_secret_keeps_its_arn_and_takes_its_new_text(cloud, stack) -> None:
    arn = stack("AWS::SecretsManager::Secret", SecretString="old")

    assert stack("AWS::SecretsManager::Secret", SecretString="new") == arn

    assert cloud.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "new"


def test_a_state_machine_runs_its_new_definition(cloud, stack) -> None:
    def properties(word):
        definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": word, "End": True}}}
        return {"DefinitionString": json.dumps(definition), "RoleArn": cloud.outputs["StatesRole"]}

    def result(machine):
        import time

        started = cloud.client("stepfunctions").start_execution(stateMachineArn=machine)["executionArn"]
        return cloud.await_end(started, time.monotonic())["result"]

    first = stack("AWS::StepFunctions::StateMachine", **properties("old"))
    before = result(first)
    second = stack("AWS::StepFunctions::StateMachine", **properties("new"))

    assert first == second
    assert (before, result(second)) == ("old", "new")


def test_a_schedule_takes_its_new_time(cloud, stack) -> None:
    def properties(expression):
        return {
            "Name": f"s-{cloud.region}",
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": "Europe/Berlin",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": "arn:aws:sqs:eu-central-1:000000000000:q", "RoleArn": "arn:aws:iam::000000000000:role/r"},
        }

    name = stack("AWS::Scheduler::Schedule", **properties("rate(1 hour)"))
    stack("AWS::Scheduler::Schedule", **properties("cron(30 4 * * ? *)"))

    found = cloud.client("scheduler").get_schedule(Name=name)
    assert found["ScheduleExpression"] == "cron(30 4 * * ? *)"
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"


def test_a_new_layer_is_a_new_version(cloud, stack) -> None:
    content = {"S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}, "S3Key": "{layer}"}

    first = stack("AWS::Lambda::LayerVersion", Content=content, Description="one")
    second = stack("AWS::Lambda::LayerVersion", Content=content, Description="two")

    assert first.rsplit(":", 1)[0] == second.rsplit(":", 1)[0]
    assert int(second.rsplit(":", 1)[1]) == int(first.rsplit(":", 1)[1]) + 1
