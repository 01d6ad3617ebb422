"""What Holdfast's state machines need of the interpreter: one test for each feature of the language."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError


def one(state, **top):
    return {"StartAt": "S", "States": {"S": {**state, "End": True}}, **top}


def jsonata(state, **top):
    return {"QueryLanguage": "JSONata", **one(state, **top)}


@pytest.fixture
def task(cloud):
    def make(payload, **fields):
        parameters = {"FunctionName": cloud.outputs["WorkerArn"], "Payload": payload}
        return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters, **fields}

    return make


def test_a_failed_function_fails_its_task_with_the_name_of_the_exception_class(cloud, task) -> None:
    ended = cloud.run(one(task({"op": "fail"})))

    assert (ended["status"], ended["error"]) == ("FAILED", "SourceBusy")
    assert json.loads(ended["cause"])["errorMessage"] == "the source is busy"


def test_catch_matches_the_name_of_the_exception_class(cloud, task) -> None:
    definition = {
        "StartAt": "S",
        "States": {
            "S": task(
                {"op": "fail"}, End=True, Catch=[{"ErrorEquals": ["SourceBusy"], "ResultPath": "$.e", "Next": "C"}]
            ),
            "C": {"Type": "Pass", "End": True},
        },
    }

    ended = cloud.run(definition, {"kept": 1})

    assert ended["result"]["kept"] == 1
    assert ended["result"]["e"]["Error"] == "SourceBusy"


def test_retry_by_class_name_runs_the_task_again_until_it_succeeds(cloud, task) -> None:
    payload = {"op": "flaky", "bucket": cloud.outputs["Scratch"], "key.$": "$$.Execution.Name", "succeed_at": 3}
    retry = [{"ErrorEquals": ["SourceBusy"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1}]

    ended = cloud.run(one(task(payload, Retry=retry, OutputPath="$.Payload")))

    assert ended["result"] == {"attempts": 3}


def test_a_retry_of_another_class_does_not_run_the_task_again(cloud, task) -> None:
    retry = [{"ErrorEquals": ["LockTimeout"], "IntervalSeconds": 25, "MaxAttempts": 3}]

    ended = cloud.run(one(task({"op": "fail"}, Retry=retry)))

    assert ended["error"] == "SourceBusy"
    assert ended["took"] < 20


@pytest.mark.parametrize(("value", "expected"), [(3, "many"), (1, "few")], ids=["the condition holds", "it does not"])
def test_a_choice_follows_its_condition(cloud, value, expected) -> None:
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "C",
        "States": {
            "C": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.n > 2 %}", "Next": "Many"}],
                "Default": "Few",
            },
            "Many": {"Type": "Succeed", "Output": "many"},
            "Few": {"Type": "Succeed", "Output": "few"},
        },
    }

    assert cloud.run(definition, {"n": value})["result"] == expected


def test_a_choice_in_jsonpath_follows_its_comparison(cloud) -> None:
    definition = {
        "StartAt": "C",
        "States": {
            "C": {
                "Type": "Choice",
                "Choices": [
                    {
                        "And": [{"Variable": "$.a", "IsPresent": True}, {"Variable": "$.a", "NumericGreaterThan": 1}],
                        "Next": "Y",
                    }
                ],
                "Default": "N",
            },
            "Y": {"Type": "Pass", "Result": "yes", "End": True},
            "N": {"Type": "Pass", "Result": "no", "End": True},
        },
    }

    assert cloud.run(definition, {"a": 2})["result"] == "yes"
    assert cloud.run(definition, {})["result"] == "no"


def test_a_wait_takes_its_seconds(cloud) -> None:
    ended = cloud.run(one({"Type": "Wait", "Seconds": 1}))

    assert 1 <= ended["took"] < 15


def test_variables_are_assigned_and_read(cloud) -> None:
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Assign": {"v": "{% $states.input.s %}", "n": 2}, "Next": "B"},
            "B": {"Type": "Pass", "Output": "{% $v & ' ' & $string($n) %}", "End": True},
        },
    }
    awkward = 'say "hi"\n\\x'

    assert cloud.run(definition, {"s": awkward})["result"] == f"{awkward} 2"


def test_variables_in_jsonpath_are_assigned_and_read(cloud) -> None:
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Assign": {"v.$": "$.a"}, "Next": "B"},
            "B": {"Type": "Pass", "Parameters": {"w.$": "$v"}, "End": True},
        },
    }

    assert cloud.run(definition, {"a": 5})["result"] == {"w": 5}


@pytest.mark.parametrize(
    ("expression", "value", "expected"),
    [
        pytest.param("{% $length($uuid()) %}", {}, 36, id="uuid"),
        pytest.param("{% $substring($hash('a', 'SHA-256'), 0, 8) %}", {}, "ca978112", id="hash"),
        pytest.param("{% $partition([1,2,3],2) %}", {}, [[1, 2], [3]], id="partition"),
        pytest.param('{% $parse(\'{"a": null, "b": [1]}\').b[0] %}', {}, 1, id="parse"),
        pytest.param("{% $count($states.input.l[x=9]) %}", {"l": [{"x": 1}]}, 0, id="count of nothing"),
        pytest.param("{% [$states.input.l[x=3]] %}", {"l": [{"x": 3}]}, [{"x": 3}], id="an array of one stays one"),
        pytest.param("{% $exists($states.input.a) ? 1 : 2 %}", {}, 2, id="exists"),
        pytest.param("{% $merge([$states.input, {'b': 2}]) %}", {"a": 1}, {"a": 1, "b": 2}, id="merge"),
    ],
)
def test_jsonata_evaluates(cloud, expression, value, expected) -> None:
    assert cloud.run(jsonata({"Type": "Pass", "Output": expression}), value)["result"] == expected


def test_jsonata_reads_the_cause_of_an_error(cloud) -> None:
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "S",
        "States": {
            "S": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Arguments": {
                    "FunctionName": cloud.outputs["WorkerArn"],
                    "Payload": {"op": "fail", "message": 'a "b"\nc'},
                },
                "Catch": [
                    {
                        "ErrorEquals": ["States.ALL"],
                        "Output": "{% $parse($states.errorOutput.Cause).errorMessage %}",
                        "Next": "C",
                    }
                ],
                "End": True,
            },
            "C": {"Type": "Succeed"},
        },
    }

    assert cloud.run(definition)["result"] == 'a "b"\nc'


def test_an_undefined_jsonata_value_fails_the_execution(cloud) -> None:
    ended = cloud.run(jsonata({"Type": "Pass", "Output": "{% $states.input.nope %}"}))

    assert ended["error"] == "States.QueryEvaluationError"


def test_a_missing_path_fails_the_execution(cloud) -> None:
    ended = cloud.run(one({"Type": "Pass", "Parameters": {"w.$": "$.nope"}}))

    assert ended["error"] in ("States.Runtime", "States.ParameterPathFailure")


def test_an_inline_map_keeps_the_order_of_its_items_and_its_concurrency(cloud, task) -> None:
    item = task({"op": "sleep", "seconds.$": "$"}, OutputPath="$.Payload.slept")
    processor = {"ProcessorConfig": {"Mode": "INLINE"}, **one(item)}
    state = {"Type": "Map", "ItemsPath": "$.i", "MaxConcurrency": 2, "ItemProcessor": processor}

    ended = cloud.run(one(state), {"i": [0.8, 0.5, 0.2, 0.1]})

    assert ended["result"] == [0.8, 0.5, 0.2, 0.1]


def test_a_failed_item_fails_an_inline_map_with_the_item_s_error(cloud, task) -> None:
    processor = {"ProcessorConfig": {"Mode": "INLINE"}, **one(task({"op": "fail_if", "value.$": "$"}))}

    ended = cloud.run(one({"Type": "Map", "ItemsPath": "$.i", "ItemProcessor": processor}), {"i": ["x", "bad"]})

    assert ended["error"] == "SourceBusy"


def test_an_inline_map_of_2000_items_ends(cloud) -> None:
    processor = {"ProcessorConfig": {"Mode": "INLINE"}, **one({"Type": "Pass"})}
    state = {"Type": "Map", "ItemsPath": "$.i", "MaxConcurrency": 1, "ItemProcessor": processor}

    ended = cloud.run(one(state), {"i": list(range(2000))}, seconds=120)

    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert len(ended["result"]) == 2000


def test_parallel_branches_give_their_results_in_order(cloud) -> None:
    branches = [one({"Type": "Pass", "Result": number}) for number in (1, 2, 3)]

    assert cloud.run(one({"Type": "Parallel", "Branches": branches}))["result"] == [1, 2, 3]


def test_a_failing_branch_ends_the_parallel_state_at_once(cloud, task) -> None:
    branches = [one({"Type": "Wait", "Seconds": 20}), one({"Type": "Fail", "Error": "Broken", "Cause": "on purpose"})]

    ended = cloud.run(one({"Type": "Parallel", "Branches": branches}))

    assert (ended["error"], ended["took"] < 15) == ("Broken", True)


def test_a_failing_branch_can_be_caught(cloud) -> None:
    definition = {
        "StartAt": "P",
        "States": {
            "P": {
                "Type": "Parallel",
                "Branches": [one({"Type": "Wait", "Seconds": 20}), one({"Type": "Fail", "Error": "Broken"})],
                "Catch": [{"ErrorEquals": ["Broken"], "Next": "C"}],
                "End": True,
            },
            "C": {"Type": "Pass", "Result": "caught", "End": True},
        },
    }

    ended = cloud.run(definition)

    assert (ended["result"], ended["took"] < 15) == ("caught", True)


def test_a_task_that_takes_too_long_fails_with_a_timeout(cloud, task) -> None:
    ended = cloud.run(one(task({"op": "sleep", "seconds": 18}, TimeoutSeconds=1)))

    assert (ended["error"], ended["took"] < 15) == ("States.Timeout", True)


def test_an_execution_that_takes_too_long_is_timed_out(cloud) -> None:
    ended = cloud.run(one({"Type": "Wait", "Seconds": 20}, TimeoutSeconds=1))

    assert (ended["status"], ended["took"] < 15) == ("TIMED_OUT", True)
    assert ended["stopDate"]


def test_a_nested_execution_gives_its_output(cloud) -> None:
    states = cloud.client("stepfunctions")
    inner = states.create_state_machine(
        name=f"inner{time.time_ns()}",
        definition=json.dumps(one({"Type": "Pass", "Result": {"a": 1}})),
        roleArn=cloud.outputs["StatesRole"],
    )["stateMachineArn"]
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": inner, "Input": {"from.$": "$$.Execution.Name"}},
        "OutputPath": "$.Output",
    }

    assert cloud.run(one(state))["result"] == {"a": 1}


def test_a_nested_execution_that_fails_fails_its_task_with_the_reason(cloud) -> None:
    states = cloud.client("stepfunctions")
    inner = states.create_state_machine(
        name=f"inner{time.time_ns()}",
        definition=json.dumps(one({"Type": "Fail", "Error": "SnapshotLost", "Cause": "gone"})).replace(
            ', "End": true', ""
        ),
        roleArn=cloud.outputs["StatesRole"],
    )["stateMachineArn"]
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": inner, "Input": {}},
    }

    ended = cloud.run(one(state))

    assert ended["error"] == "States.TaskFailed"
    assert json.loads(ended["cause"])["Error"] == "SnapshotLost"


def test_a_result_over_256_kilobytes_fails_the_execution(cloud, task) -> None:
    ended = cloud.run(one(task({"op": "echo", "x.$": "$.x", "y.$": "$.x"})), {"x": "a" * 140_000})

    assert ended["error"] == "States.DataLimitExceeded"


def test_sdk_integrations_are_named_as_in_aws(cloud) -> None:
    bucket = cloud.outputs["Scratch"]
    missing = one(
        {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
            "Parameters": {"Bucket": bucket, "Key": "nope"},
        }
    )
    snapshots = jsonata(
        {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:s3:listObjectVersions",
            "Arguments": {"Bucket": bucket, "Prefix": "nothing/"},
            "Output": "{% $states.result.Prefix %}",
        }
    )

    assert cloud.run(missing)["error"] == "S3.NoSuchKeyException"
    assert cloud.run(snapshots)["result"] == "nothing/"


def test_stopping_an_execution_ends_it_at_once_although_its_function_runs(cloud, task) -> None:
    states = cloud.client("stepfunctions")
    arn = cloud.run(one(task({"op": "sleep", "seconds": 18})), wait=False)
    time.sleep(0.5)

    states.stop_execution(executionArn=arn, error="Stopped", cause="by a test")
    ended = cloud.await_end(arn, time.monotonic(), 12)

    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Stopped", "by a test")
    last = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=1)["events"][0]
    assert last["type"] == "ExecutionAborted"


def test_history_can_be_read_in_pages_while_the_execution_runs(cloud) -> None:
    states = cloud.client("stepfunctions")
    chain = {f"P{n}": {"Type": "Pass", "Next": f"P{n + 1}"} for n in range(60)}
    definition = {"StartAt": "P0", "States": {**chain, "P60": {"Type": "Wait", "Seconds": 2, "End": True}}}
    arn = cloud.run(definition, wait=False)

    def events():
        pages = states.get_paginator("get_execution_history").paginate(
            executionArn=arn, PaginationConfig={"PageSize": 50}
        )
        return [event for page in pages for event in page["events"]]

    found = cloud.eventually(lambda: (seen := events())[-1]["type"] == "WaitStateEntered" and seen)

    assert [event["id"] for event in found] == list(range(1, len(found) + 1))
    assert len(found) > 100
    assert cloud.await_end(arn, time.monotonic())["status"] == "SUCCEEDED"


def test_executions_are_listed_by_state_the_newest_first(cloud) -> None:
    states = cloud.client("stepfunctions")
    arn = cloud.run(one({"Type": "Fail", "Error": "X"}) | {"States": {"S": {"Type": "Fail", "Error": "X"}}}, wait=False)
    machine = states.describe_execution(executionArn=arn)["stateMachineArn"]
    second = states.start_execution(stateMachineArn=machine)["executionArn"]
    for each in (arn, second):
        cloud.await_end(each, time.monotonic())

    listed = states.list_executions(stateMachineArn=machine, statusFilter="FAILED")["executions"]

    assert [each["executionArn"] for each in listed] == [second, arn]
    assert states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"] == []


def test_a_name_is_used_once(cloud) -> None:
    states = cloud.client("stepfunctions")
    arn = cloud.run(one({"Type": "Pass"}), wait=False)
    machine = states.describe_execution(executionArn=arn)["stateMachineArn"]
    first = states.start_execution(stateMachineArn=machine, name="once", input="{}")["executionArn"]
    cloud.await_end(first, time.monotonic())

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(stateMachineArn=machine, name="once", input='{"other": 1}')


def test_input_that_is_no_json_is_refused(cloud) -> None:
    states = cloud.client("stepfunctions")
    arn = cloud.run(one({"Type": "Pass"}), wait=False)
    machine = states.describe_execution(executionArn=arn)["stateMachineArn"]

    with pytest.raises(ClientError, match="InvalidExecutionInput"):
        states.start_execution(stateMachineArn=machine, input="{")


def test_a_fail_state_passes_on_an_error_that_was_caught(cloud, task) -> None:
    definition = {
        "StartAt": "S",
        "States": {
            "S": task(
                {"op": "sleep", "seconds": 5},
                TimeoutSeconds=1,
                End=True,
                Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.e", "Next": "F"}],
            ),
            "F": {"Type": "Fail", "ErrorPath": "$.e.Error", "CausePath": "$.e.Cause"},
        },
    }

    assert cloud.run(definition)["error"] == "States.Timeout"
