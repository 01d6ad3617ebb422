"""The Distributed Map: items from S3, bounded concurrency, failures that count, counts that can be read."""

from __future__ import annotations

import json
import time
import uuid

import pytest


def one(state, **top):
    return {"StartAt": "S", "States": {"S": {**state, "End": True}}, **top}


@pytest.fixture
def distributed(cloud):
    """Return a function that runs a Distributed Map over items that lie on S3."""

    def run(items, payload, *, wait=True, concurrency=8, **fields):
        key = f"items/{uuid.uuid4().hex}.json"
        cloud.client("s3").put_object(Bucket=cloud.outputs["Scratch"], Key=key, Body=json.dumps(items).encode())
        work = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": cloud.outputs["WorkerArn"], "Payload": payload},
            "OutputPath": "$.Payload",
        }
        state = {
            "Type": "Map",
            "Label": "d",
            "MaxConcurrency": concurrency,
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {"Bucket": cloud.outputs["Scratch"], "Key": key},
            },
            "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **one(work)},
            **fields,
        }
        return cloud.run(one(state), wait=wait, seconds=120)

    return run


def test_items_are_read_from_s3_and_results_come_in_order(distributed) -> None:
    items = [{"name": f"n{number}"} for number in range(20)]

    ended = distributed(items, {"op": "fail_if", "value.$": "$.name"})

    assert ended["result"] == [{"done": f"n{number}"} for number in range(20)]


def test_an_item_selector_gives_each_item_its_index_and_the_state_s_input(cloud, distributed) -> None:
    selector = {"index.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value.n", "fixed": "f"}

    ended = distributed([{"n": 7}], {"op": "echo", "all.$": "$"}, ItemSelector=selector)

    assert ended["result"][0]["echo"]["all"] == {"index": 0, "value": 7, "fixed": "f"}


def test_a_failed_item_fails_the_map_and_no_more_items_start(cloud, distributed) -> None:
    items = [{"name": "bad"}, *({"name": f"n{number}"} for number in range(200))]

    ended = distributed(items, {"op": "fail_if", "value.$": "$.name"}, concurrency=1)

    assert ended["error"] == "States.ExceedToleratedFailureThreshold"
    states = cloud.client("stepfunctions")
    run = states.list_map_runs(executionArn=ended["executionArn"])["mapRuns"][0]
    described = states.describe_map_run(mapRunArn=run["mapRunArn"])
    assert described["status"] == "FAILED"
    assert described["itemCounts"]["failed"] == 1
    assert described["itemCounts"]["succeeded"] < 50


@pytest.mark.parametrize(
    ("tolerated", "status"),
    [
        pytest.param({"ToleratedFailurePercentage": 50}, "SUCCEEDED", id="within the percentage"),
        pytest.param({"ToleratedFailurePercentage": 25.0}, "FAILED", id="over the percentage"),
        pytest.param({"ToleratedFailureCount": 1}, "SUCCEEDED", id="within the count"),
        pytest.param({}, "FAILED", id="nothing is tolerated"),
    ],
)
def test_failures_are_tolerated_up_to_the_threshold(distributed, tolerated, status) -> None:
    items = [{"name": name} for name in ("a", "bad", "c")]

    assert distributed(items, {"op": "fail_if", "value.$": "$.name"}, **tolerated)["status"] == status


def test_a_failed_map_can_be_caught(cloud, distributed) -> None:
    key = f"items/{uuid.uuid4().hex}.json"
    cloud.client("s3").put_object(Bucket=cloud.outputs["Scratch"], Key=key, Body=b'[{"v": "bad"}]')
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "M",
        "States": {
            "M": {
                "Type": "Map",
                "MaxConcurrency": 2,
                "ItemReader": {
                    "Resource": "arn:aws:states:::s3:getObject",
                    "ReaderConfig": {"InputType": "JSON"},
                    "Arguments": {"Bucket": cloud.outputs["Scratch"], "Key": key},
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "I",
                    "States": {"I": {"Type": "Fail", "Error": "X"}},
                },
                "Catch": [
                    {
                        "ErrorEquals": ["States.ExceedToleratedFailureThreshold"],
                        "Output": "{% $states.errorOutput.Error %}",
                        "Next": "C",
                    }
                ],
                "End": True,
            },
            "C": {"Type": "Succeed"},
        },
    }

    assert cloud.run(definition)["result"] == "States.ExceedToleratedFailureThreshold"


def test_no_more_items_run_at_once_than_the_map_allows(cloud, distributed) -> None:
    ended = distributed([{}] * 6, {"op": "sleep", "seconds": 0.5}, concurrency=2)

    assert ended["took"] > 1.5


def test_an_empty_list_of_items_succeeds(distributed) -> None:
    assert distributed([], {"op": "echo"})["result"] == []


def test_a_missing_list_of_items_fails_the_map(cloud) -> None:
    state = {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": cloud.outputs["Scratch"], "Key": "nope.json"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            **one({"Type": "Pass"}),
        },
    }

    assert cloud.run(one(state))["error"] == "States.ItemReaderFailed"


def test_counts_can_be_read_while_the_map_runs(cloud, distributed) -> None:
    states = cloud.client("stepfunctions")
    arn = distributed([{}] * 6, {"op": "sleep", "seconds": 0.7}, concurrency=2, wait=False)

    def counts():
        runs = states.list_map_runs(executionArn=arn)["mapRuns"]
        return runs and states.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]

    seen = cloud.eventually(lambda: (found := counts()) and found["running"] == 2 and found)

    assert seen["total"] == 6
    assert seen["pending"] + seen["succeeded"] == 4
    cloud.await_end(arn, time.monotonic())
    assert counts()["succeeded"] == 6


def test_a_map_of_3000_items_ends(cloud) -> None:
    key = f"items/{uuid.uuid4().hex}.json"
    items = json.dumps(list(range(3000))).encode()
    cloud.client("s3").put_object(Bucket=cloud.outputs["Scratch"], Key=key, Body=items)
    state = {
        "Type": "Map",
        "MaxConcurrency": 2,
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket": cloud.outputs["Scratch"], "Key": key},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            **one({"Type": "Pass", "Result": {}}),
        },
        "ResultPath": None,
    }

    assert cloud.run(one(state), seconds=120)["status"] == "SUCCEEDED"


def test_a_result_over_256_kilobytes_fails_the_map(cloud, distributed) -> None:
    ended = distributed([{"x": "a" * 100_000}] * 3, {"op": "echo", "x.$": "$.x"})

    assert ended["error"] == "States.DataLimitExceeded"
