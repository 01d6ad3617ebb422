"""What happens without anybody waiting: asynchronous events, metrics, alarms, schedules."""

from __future__ import annotations

import datetime
import json
import time
import uuid

import pytest

from holdfast_local.cloud import fire
from holdfast_local.cloud.errors import ScheduleRefused


def role(service, *statements, account=None):
    taking = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    if account:
        taking["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    trust = {"Version": "2012-10-17", "Statement": [taking]}
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    policies = {"Policies": [{"PolicyName": "own", "PolicyDocument": document}]} if statements else {}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust, **policies}}


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


@pytest.fixture(scope="module")
def deployed(cloud, tmp_path_factory):
    def function(**properties):
        return {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Code": {
                    "S3Bucket": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"},
                    "S3Key": "{code}",
                },
                "Handler": "main.main",
                "Runtime": cloud.runtime,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Timeout": 20,
                "MemorySize": 256,
                "Layers": [cloud.outputs["SdkLayer"]],
                **properties,
            },
        }

    def schedule(**properties):
        target = {
            "Arn": {"Ref": "Machine"},
            "RoleArn": {"Fn::GetAtt": ["SchedulerRole", "Arn"]},
            "Input": '{"at": "<aws.scheduler.scheduled-time>", "tier": "daily"}',
        }
        return {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "GroupName": {"Ref": "Group"},
                "ScheduleExpression": "cron(0 2 * * ? *)",
                "ScheduleExpressionTimezone": "Europe/Berlin",
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": target,
                **properties,
            },
        }

    destination = {"OnFailure": {"Destination": {"Fn::GetAtt": ["Queue", "Arn"]}}}
    machine = json.dumps({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})
    resources = {
        "Role": role("lambda", allow("sqs:SendMessage"), allow("logs:*")),
        "Mute": role("lambda", allow("logs:*")),
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
        "Letters": {"Type": "AWS::SQS::Queue", "Properties": {}},
        "Alerts": {"Type": "AWS::SQS::Queue", "Properties": {}},
        "Once": function(),
        "OnceEvents": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {
                "FunctionName": {"Ref": "Once"},
                "Qualifier": "$LATEST",
                "MaximumRetryAttempts": 0,
                "DestinationConfig": destination,
            },
        },
        "Lettered": function(DeadLetterConfig={"TargetArn": {"Fn::GetAtt": ["Letters", "Arn"]}}),
        "LetteredEvents": {
            "Type": "AWS::Lambda::EventInvokeConfig",
            "Properties": {"FunctionName": {"Ref": "Lettered"}, "Qualifier": "$LATEST", "MaximumRetryAttempts": 1},
        },
        "StatesRole": role("states"),
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {"DefinitionString": machine, "RoleArn": {"Fn::GetAtt": ["StatesRole", "Arn"]}},
        },
        "SchedulerRole": role(
            "scheduler", allow("states:StartExecution", {"Ref": "Machine"}), account={"Ref": "AWS::AccountId"}
        ),
        "StrangersRole": role("scheduler", allow("states:StartExecution", {"Ref": "Machine"}), account="111111111111"),
        "ForeignRole": role("scheduler", allow("logs:*")),
        "Group": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": "holdfast"}},
        "Daily": schedule(Name="daily"),
        "Off": schedule(Name="off", State="DISABLED"),
        "Foreign": schedule(
            Name="foreign", Target={"Arn": {"Ref": "Machine"}, "RoleArn": {"Fn::GetAtt": ["ForeignRole", "Arn"]}}
        ),
        "Strangers": schedule(
            Name="strangers", Target={"Arn": {"Ref": "Machine"}, "RoleArn": {"Fn::GetAtt": ["StrangersRole", "Arn"]}}
        ),
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {}},
        "TopicToQueue": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Topic"},
                "Protocol": "sqs",
                "Endpoint": {"Fn::GetAtt": ["Alerts", "Arn"]},
                "RawMessageDelivery": True,
            },
        },
        "AlertsPolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Alerts"}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "sns.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": "*",
                        }
                    ],
                },
            },
        },
        "TooOld": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "Holdfast/Test",
                "MetricName": "BackupAge",
                "Dimensions": [{"Name": "Database", "Value": "orders"}],
                "Statistic": "Maximum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 100,
                "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": [{"Ref": "Topic"}],
            },
        },
    }
    for name, missing in (("Silent", "breaching"), ("Calm", "notBreaching"), ("Unknown", "missing")):
        resources[name] = {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "Namespace": "Holdfast/Test",
                "MetricName": "BackupAge",
                "Dimensions": [{"Name": "Database", "Value": "never"}],
                "Statistic": "Maximum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 100,
                "ComparisonOperator": "GreaterThanThreshold",
                "TreatMissingData": missing,
            },
        }
    resources["Failing"] = function()
    resources["FailingErrors"] = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "Failing"}}],
            "Statistic": "Sum",
            "Period": 300,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        },
    }
    functions = ("Once", "Lettered", "Failing")
    watched = ("Silent", "Calm", "Unknown", "FailingErrors", "TooOld")
    names = (*functions, *watched, "Queue", "Letters", "Alerts", "Machine")
    outputs = {name: {"Value": {"Ref": name}} for name in names}
    return cloud.deploy(tmp_path_factory.mktemp("events"), {"Resources": resources, "Outputs": outputs})


def received(cloud, queue):
    answer = cloud.client("sqs").receive_message(QueueUrl=queue, MessageAttributeNames=["All"])
    return answer.get("Messages", [])


def test_an_event_that_fails_goes_to_the_destination_with_its_payload(cloud, deployed) -> None:
    cloud.invoke(deployed["Once"], {"op": "fail", "message": "m"}, InvocationType="Event")

    message = cloud.eventually(lambda: received(cloud, deployed["Queue"]))[0]

    body = json.loads(message["Body"])
    assert body["requestPayload"] == {"op": "fail", "message": "m"}
    assert body["requestContext"]["condition"] == "RetriesExhausted"
    assert body["requestContext"]["approximateInvokeCount"] == 1
    assert body["responsePayload"]["errorType"] == "SourceBusy"


def test_a_dead_letter_queue_gets_the_event_itself_after_the_retries(cloud, deployed) -> None:
    cloud.invoke(deployed["Lettered"], {"op": "fail", "n": 1}, InvocationType="Event")

    message = cloud.eventually(lambda: received(cloud, deployed["Letters"]))[0]

    assert json.loads(message["Body"]) == {"op": "fail", "n": 1}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "the source is busy"


def test_a_line_in_the_embedded_format_becomes_a_metric_and_raises_the_alarm(cloud, deployed) -> None:
    cloud.invoke(cloud.outputs["Worker"], {"op": "emit_metric", "value": 500})

    watch = cloud.client("cloudwatch")
    now = datetime.datetime.now(datetime.UTC)

    def points():
        return watch.get_metric_statistics(
            Namespace="Holdfast/Test",
            MetricName="BackupAge",
            Dimensions=[{"Name": "Database", "Value": "orders"}],
            StartTime=now - datetime.timedelta(minutes=10),
            EndTime=now + datetime.timedelta(minutes=10),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]

    assert cloud.eventually(points)[0]["Maximum"] == 500
    alarm = watch.describe_alarms(AlarmNames=[deployed["TooOld"]])["MetricAlarms"][0]
    assert alarm["StateValue"] == "ALARM"
    assert cloud.eventually(lambda: received(cloud, deployed["Alerts"]))


@pytest.mark.parametrize(
    ("alarm", "state"),
    [
        pytest.param("Silent", "ALARM", id="a breach"),
        pytest.param("Calm", "OK", id="no breach"),
        pytest.param("Unknown", "INSUFFICIENT_DATA", id="unknown"),
    ],
)
def test_missing_data_is_taken_for_what_the_alarm_says(cloud, deployed, alarm, state) -> None:
    watch = cloud.client("cloudwatch")

    def found():
        return watch.describe_alarms(AlarmNames=[deployed[alarm]])["MetricAlarms"][0]["StateValue"]

    cloud.eventually(lambda: found() == state)


def test_an_event_that_fails_raises_the_alarm_of_its_function(cloud, deployed) -> None:
    watch = cloud.client("cloudwatch")

    cloud.invoke(deployed["Failing"], {"op": "fail"}, InvocationType="Event")

    cloud.eventually(
        lambda: (
            watch.describe_alarms(AlarmNames=[deployed["FailingErrors"]])["MetricAlarms"][0]["StateValue"] == "ALARM"
        )
    )


def test_a_schedule_is_deployed_as_it_was_declared(cloud, deployed) -> None:
    found = cloud.client("scheduler").get_schedule(Name="daily", GroupName="holdfast")

    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert found["ScheduleExpression"] == "cron(0 2 * * ? *)"
    assert ("holdfast", "daily") in fire.schedules(endpoint=cloud.url, region=cloud.region)


def test_a_schedule_fires_on_command_with_its_context_filled_in(cloud, deployed) -> None:
    moment = datetime.datetime(2026, 11, 23, 2, 0, tzinfo=datetime.UTC)

    fired = fire.fire("daily", group="holdfast", endpoint=cloud.url, region=cloud.region, now=moment)

    ended = cloud.await_end(fired.execution, time.monotonic())
    assert ended["stateMachineArn"] == deployed["Machine"]
    assert json.loads(ended["input"]) == {"at": "2026-11-23T02:00:00Z", "tier": "daily"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("off", "is disabled", id="disabled"),
        pytest.param("nowhere", "There is no schedule", id="unknown"),
        pytest.param("foreign", "may not call", id="its role may not start the machine"),
        pytest.param("strangers", "may not call", id="its role trusts another account"),
    ],
)
def test_a_schedule_that_cannot_fire_says_why(cloud, deployed, name, reason) -> None:
    with pytest.raises(ScheduleRefused, match=reason):
        fire.fire(name, group="holdfast", endpoint=cloud.url, region=cloud.region)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param({"ScheduleExpression": "cron(99 3 * * ? *)"}, id="minute 99"),
        pytest.param({"ScheduleExpression": "cron(0 3 * * * *)"}, id="both days given"),
        pytest.param({"ScheduleExpression": "rate(0 hours)"}, id="rate of nothing"),
        pytest.param({"ScheduleExpression": "every day"}, id="no expression"),
        pytest.param({"ScheduleExpressionTimezone": "Mars/Base"}, id="unknown zone"),
    ],
)
def test_a_schedule_that_makes_no_sense_fails_its_stack(cloud, deployed, tmp_path, properties) -> None:
    from holdfast_local.cloud.errors import DeploymentFailed

    schedule = {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": f"s{uuid.uuid4().hex[:8]}",
            "ScheduleExpression": "rate(1 hour)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": deployed["Machine"], "RoleArn": "arn:aws:iam::000000000000:role/x"},
            **properties,
        },
    }

    with pytest.raises(DeploymentFailed):
        cloud.deploy(tmp_path, {"Resources": {"S": schedule}})
