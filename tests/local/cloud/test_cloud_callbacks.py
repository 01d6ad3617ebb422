"""Tasks that wait for a token, as the holder of a snapshot uses them."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def waiting(cloud):
    """Return a function that makes a state which waits for its token."""

    def make(payload, *, function="WorkerArn", event=True, **fields):
        parameters = {
            "FunctionName": cloud.outputs[function],
            "Payload": {**payload, "token.$": "$$.Task.Token"},
            **({"InvocationType": "Event"} if event else {}),
        }
        resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
        state = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **fields}
        return {"StartAt": "S", "States": {"S": state}}

    return make


@pytest.fixture
def kept_token(cloud, waiting):
    """Start an execution whose function only keeps the token; return the execution and the token."""

    def start(**fields):
        key = f"tokens/{uuid.uuid4().hex}"
        bucket = cloud.outputs["Scratch"]
        arn = cloud.run(waiting({"op": "keep_token", "bucket": bucket, "key": key}, **fields), wait=False)
        s3 = cloud.client("s3")

        def read():
            found = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount")
            return found and s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

        return arn, cloud.eventually(read)

    return start


@pytest.mark.parametrize("event", [True, False], ids=["invoked as an event", "invoked and waited for"])
def test_the_state_goes_on_when_its_token_is_answered_although_the_function_runs_on(cloud, waiting, event) -> None:
    ended = cloud.run(waiting({"op": "answer_token", "value": 5, "linger": 17}, event=event))

    assert ended["result"] == {"answer": 5}
    assert ended["took"] < 15


def test_an_answered_failure_fails_the_state_with_its_error_and_cause(cloud, waiting) -> None:
    ended = cloud.run(waiting({"op": "answer_token", "fail": "SnapshotLost"}))

    assert (ended["error"], ended["cause"]) == ("SnapshotLost", "told to")


def test_a_failed_attempt_is_retried_with_a_token_of_its_own(cloud, waiting) -> None:
    retry = [{"ErrorEquals": ["DatabaseBusy"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}]
    definition = waiting({"op": "answer_token", "fail": "DatabaseBusy"}, Retry=retry)

    ended = cloud.run(definition)

    assert ended["error"] == "DatabaseBusy"
    assert ended["took"] >= 1
    events = cloud.client("stepfunctions").get_execution_history(executionArn=ended["executionArn"])["events"]
    tokens = {
        json.loads(e["taskScheduledEventDetails"]["parameters"])["Payload"]["token"]
        for e in events
        if e["type"] == "TaskScheduled"
    }
    assert len(tokens) == 2


def test_silence_over_the_heartbeat_fails_the_state(cloud, waiting) -> None:
    ended = cloud.run(waiting({"op": "echo"}, HeartbeatSeconds=1, TimeoutSeconds=20))

    assert ended["error"] in ("States.Timeout", "States.HeartbeatTimeout")
    assert ended["took"] < 15


def test_heartbeats_keep_the_state_waiting(cloud, waiting) -> None:
    payload = {"op": "answer_token", "beats": 6, "beat": 1, "value": 1}

    ended = cloud.run(waiting(payload, HeartbeatSeconds=5, TimeoutSeconds=40))

    assert ended["result"] == {"answer": 1}
    assert ended["took"] > 5.5


def test_a_function_that_fails_before_it_answers_fails_the_state_when_it_is_waited_for(cloud, waiting) -> None:
    assert cloud.run(waiting({"op": "fail"}, event=False))["error"] == "SourceBusy"


def test_a_token_that_never_was_is_refused(cloud) -> None:
    with pytest.raises(ClientError, match="InvalidToken"):
        cloud.client("stepfunctions").send_task_heartbeat(taskToken="nobody's")


def test_a_token_is_refused_when_its_execution_has_been_stopped(cloud, kept_token) -> None:
    states = cloud.client("stepfunctions")
    arn, token = kept_token()
    states.send_task_heartbeat(taskToken=token)

    states.stop_execution(executionArn=arn)
    cloud.await_end(arn, time.monotonic(), 12)

    with pytest.raises(ClientError, match="TaskTimedOut"):
        states.send_task_heartbeat(taskToken=token)


def test_a_token_is_answered_once(cloud, kept_token) -> None:
    states = cloud.client("stepfunctions")
    arn, token = kept_token()

    states.send_task_success(taskToken=token, output='{"by": "hand"}')

    assert cloud.await_end(arn, time.monotonic())["result"] == {"by": "hand"}
    with pytest.raises(ClientError, match="TaskTimedOut"):
        states.send_task_success(taskToken=token, output="{}")


def test_a_token_of_a_branch_is_refused_when_another_branch_has_failed(cloud, waiting, kept_token) -> None:
    key, bucket = f"tokens/{uuid.uuid4().hex}", cloud.outputs["Scratch"]
    holder = waiting({"op": "keep_token", "bucket": bucket, "key": key})
    failing = {
        "StartAt": "W",
        "States": {"W": {"Type": "Wait", "Seconds": 2, "Next": "F"}, "F": {"Type": "Fail", "Error": "Broken"}},
    }
    parallel = {"Type": "Parallel", "Branches": [holder, failing], "End": True}

    ended = cloud.run({"StartAt": "P", "States": {"P": parallel}})
    token = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    assert ended["error"] == "Broken"
    with pytest.raises(ClientError, match="TaskTimedOut"):
        cloud.client("stepfunctions").send_task_heartbeat(taskToken=token)


def test_heartbeats_without_a_timeout_may_go_on_longer_than_a_minute(cloud, kept_token) -> None:
    states = cloud.client("stepfunctions")
    arn, token = kept_token(HeartbeatSeconds=30)

    events = states.get_execution_history(executionArn=arn)["events"]
    scheduled = next(e for e in events if e["type"] == "TaskScheduled")["taskScheduledEventDetails"]
    states.send_task_success(taskToken=token, output="{}")

    assert scheduled.get("timeoutInSeconds", 10**6) > 60
    assert cloud.await_end(arn, time.monotonic())["status"] == "SUCCEEDED"
