"""The monitoring stack: nothing fails in silence, and silence itself is a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.counting import count_intact_point

from .conftest import Assembly

pytestmark = pytest.mark.xdist_group("infra")


def alarms(assembly: Assembly) -> dict[str, dict[str, Any]]:
    """Return the alarms' properties by name."""
    found = assembly.resources("monitoring", "CloudWatch::Alarm").values()
    return {one["Properties"]["AlarmName"]: one["Properties"] for one in found}


def test_every_function_has_an_error_alarm(assembly: Assembly) -> None:
    functions = assembly.resources("workflows", "Lambda::Function").values()

    for one in functions:
        name = one["Properties"]["FunctionName"]
        alarm = alarms(assembly)[f"{name}-errors"]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"]) == ("AWS/Lambda", "Errors", 1)
        # One failure is retried by the state machine and wakes nobody.
        assert alarm["Period"] * alarm["EvaluationPeriods"] == 900
        assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": name}]


def test_every_machine_has_an_alarm_for_each_unhappy_end(assembly: Assembly) -> None:
    machines = assembly.resources("workflows", "StepFunctions::StateMachine").values()

    for one in machines:
        name = one["Properties"]["StateMachineName"]
        for end, metric in {"failed": "Failed", "timedout": "TimedOut", "aborted": "Aborted"}.items():
            assert alarms(assembly)[f"{name}-{end}"]["MetricName"] == f"Executions{metric}"


def test_a_day_without_a_successful_backup_of_any_database_is_alarming_even_without_data(assembly: Assembly) -> None:
    for database in ("shop", "blog"):
        alarm = alarms(assembly)[f"vault-{database}-silent"]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("Holdfast", "IntactPoints", "Sum")
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        assert dimensions == {"system": "vault", "database": database, "service": "verify.conclude"}
        assert alarm["ComparisonOperator"] == "LessThanThreshold"
        assert alarm["Period"] * alarm["EvaluationPeriods"] == 26 * 3600
        assert alarm["TreatMissingData"] == "breaching"


def test_what_is_counted_is_what_the_alarm_on_silence_looks_at(
    assembly: Assembly, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = assembly.named("workflows", "Lambda::Function", "VerifyConclude")["Properties"]["Environment"]
    for name in ("POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(name, variables["Variables"][name])

    count_intact_point("vault", "shop")

    written = json.loads(capsys.readouterr().out)
    (told,) = written["_aws"]["CloudWatchMetrics"]
    alarm = alarms(assembly)["vault-shop-silent"]
    assert (told["Namespace"], told["Metrics"][0]["Name"]) == (alarm["Namespace"], alarm["MetricName"])
    assert sorted(told["Dimensions"][0]) == sorted(one["Name"] for one in alarm["Dimensions"])
    assert all(written[one["Name"]] == one["Value"] for one in alarm["Dimensions"])


def test_a_dead_letter_is_alarming(assembly: Assembly) -> None:
    alarm = alarms(assembly)["vault-dead-letters"]

    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "vault-dead-letters"}]
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanOrEqualToThreshold", 1)


def test_every_alarm_tells_somebody(assembly: Assembly) -> None:
    for alarm in alarms(assembly).values():
        assert "Alerts" in json.dumps(alarm["AlarmActions"])
        assert alarm["AlarmDescription"].endswith(".")


def test_the_topic_is_encrypted_and_cloudwatch_may_use_its_key(assembly: Assembly) -> None:
    (topic,) = assembly.resources("monitoring", "SNS::Topic").values()
    (key,) = assembly.resources("monitoring", "KMS::Key").values()

    assert "AlertKey" in json.dumps(topic["Properties"]["KmsMasterKeyId"])
    services = [each["Principal"].get("Service") for each in key["Properties"]["KeyPolicy"]["Statement"]]
    assert "cloudwatch.amazonaws.com" in services


def test_the_addresses_of_the_configuration_are_subscribed(assembly: Assembly) -> None:
    (one,) = assembly.resources("monitoring", "SNS::Subscription").values()

    assert (one["Properties"]["Protocol"], one["Properties"]["Endpoint"]) == ("email", "oncall@example.com")


def test_watching_does_not_tie_the_stacks_together(assembly: Assembly) -> None:
    assert "Fn::ImportValue" not in json.dumps(assembly.template("monitoring"))


def test_there_is_one_dashboard(assembly: Assembly) -> None:
    (one,) = assembly.resources("monitoring", "CloudWatch::Dashboard").values()

    assert one["Properties"]["DashboardName"] == "vault"
