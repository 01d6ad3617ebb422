"""State machines and schedules in the workflows stack."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.capture import CaptureRequest
from holdfast.contracts.pruning import PruneRequest
from holdfast.contracts.retention import CollectRequest
from holdfast_infra.machines import MACHINES

from .conftest import Assembly

pytestmark = pytest.mark.xdist_group("infra")

MACHINES_BY_NAME = {
    "vault-verify": "verify",
    "vault-collect": "collect",
    "vault-prune": "prune",
    "vault-protect": "protect",
    "vault-capture": "capture",
    "vault-sweep": "sweep",
    "vault-rebuild": "rebuild",
    "vault-replication": "replication",
    "vault-backup-internet": "backup",
    "vault-backup-production": "backup",
    "vault-restore-internet": "restore",
    "vault-restore-production": "restore",
}


def machine(assembly: Assembly, name: str) -> dict[str, Any]:
    """Return the properties of the state machine called *name*."""
    found = assembly.resources("workflows", "StepFunctions::StateMachine").values()
    (properties,) = [one["Properties"] for one in found if one["Properties"]["StateMachineName"] == name]
    return dict(properties)


def role(assembly: Assembly, name: str) -> dict[str, Any]:
    """Return the properties of the role called *name*."""
    found = assembly.resources("workflows", "IAM::Role").values()
    (properties,) = [one["Properties"] for one in found if one["Properties"]["RoleName"] == name]
    return dict(properties)


def granted(assembly: Assembly, name: str, action: str) -> str:
    """Return, as text, the resources on which the role called *name* may do *action*."""
    (policy,) = role(assembly, name)["Policies"]
    found = policy["PolicyDocument"]["Statement"]
    return json.dumps([each["Resource"] for each in found if action in (each["Action"], *_several(each["Action"]))])


def _several(actions: str | list[str]) -> list[str]:
    return actions if isinstance(actions, list) else []


def test_each_network_has_its_backup_and_restore_machine_and_verify_exists_once(assembly: Assembly) -> None:
    found = assembly.resources("workflows", "StepFunctions::StateMachine").values()

    assert sorted(one["Properties"]["StateMachineName"] for one in found) == sorted(MACHINES_BY_NAME)


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_a_machine_logs_everything_but_data_and_is_traced(assembly: Assembly, name: str) -> None:
    found = machine(assembly, name)

    assert found["TracingConfiguration"] == {"Enabled": True}
    assert found["LoggingConfiguration"]["Level"] == "ALL"
    assert found["LoggingConfiguration"]["IncludeExecutionData"] is False
    groups = assembly.resources("workflows", "Logs::LogGroup").values()
    (group,) = [one for one in groups if one["Properties"]["LogGroupName"] == f"/aws/vendedlogs/states/{name}"]
    assert group["Properties"]["RetentionInDays"] == 30


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_every_placeholder_of_the_asl_file_is_filled_and_no_other(assembly: Assembly, name: str) -> None:
    text = (MACHINES / f"{MACHINES_BY_NAME[name]}.asl.json").read_text()

    assert set(machine(assembly, name)["DefinitionSubstitutions"]) == set(re.findall(r"\$\{(\w+)\}", text))


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_a_machine_invokes_the_functions_of_its_own_workflow_and_network(assembly: Assembly, name: str) -> None:
    invoked = granted(assembly, name, "lambda:InvokeFunction")
    _, workflow, *network = name.split("-")

    own = {
        "backup": "Snapshot",
        "capture": "Snapshot",
        "verify": "Verify",
        "collect": "RetentionCollect",
        "prune": "RetentionPrune",
        "protect": "RetentionProtect",
        "sweep": "RetentionSweep",
        "rebuild": "CatalogueRebuild",
        "replication": "MonitorReplication",
        "restore": "Restore",
    }
    assert own[workflow] in invoked
    if network:
        other = {"internet": "Production", "production": "Internet"}[network[0]]
        assert f'"{other}' not in invoked


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_a_machine_starts_only_its_own_children_and_the_verification(assembly: Assembly, name: str) -> None:
    started = set(re.findall(r"stateMachine:([\w-]+)", granted(assembly, name, "states:StartExecution")))

    assert started == {name} | ({"vault-verify"} if "backup" in name else set())


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_a_machine_touches_only_its_own_part_of_the_scratch_bucket(assembly: Assembly, name: str) -> None:
    written = granted(assembly, name, "s3:PutObject")

    assert f"/{MACHINES_BY_NAME[name]}/*" in written
    assert "Archive" not in written


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_a_machine_uses_the_data_key_through_s3_only(assembly: Assembly, name: str) -> None:
    (policy,) = role(assembly, name)["Policies"]
    (statement,) = [each for each in policy["PolicyDocument"]["Statement"] if "DataKey" in json.dumps(each["Resource"])]

    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    (through,) = statement["Condition"].values()
    assert '["s3.eu-central-1.", {"Ref": "AWS::URLSuffix"}]' in json.dumps(through["kms:ViaService"])


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_a_machine_redrives_and_stops_its_own_runs_only(assembly: Assembly, name: str) -> None:
    nested = {"vault-verify"} if "backup" in name else set()

    redriven = set(re.findall(r":execution:([\w-]+)([/:]\*)", granted(assembly, name, "states:RedriveExecution")))
    stopped = set(re.findall(r":execution:([\w-]+)[/:]\*", granted(assembly, name, "states:StopExecution")))

    assert redriven == {(name, "/*")}
    assert stopped == {name} | nested


@pytest.mark.parametrize("name", MACHINES_BY_NAME)
def test_machines_of_other_accounts_cannot_use_the_role(assembly: Assembly, name: str) -> None:
    (statement,) = role(assembly, name)["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def schedules(assembly: Assembly) -> dict[str, dict[str, Any]]:
    """Return the schedules' properties by name."""
    found = assembly.resources("workflows", "Scheduler::Schedule").values()
    return {one["Properties"]["Name"]: one["Properties"] for one in found}


def test_every_enabled_tier_of_every_database_has_a_schedule(assembly: Assembly) -> None:
    assert set(schedules(assembly)) == {
        "vault-blog-daily",
        "vault-blog-weekly",
        "vault-blog-monthly",
        "vault-shop-daily",
        "vault-shop-weekly",
        "vault-sweep",
        "vault-shop-hourly",
        "vault-blog-collect",
        "vault-shop-collect",
        "vault-blog-prune",
        "vault-shop-prune",
    }


def test_a_schedule_starts_its_network_s_machine_at_the_database_s_own_time(assembly: Assembly) -> None:
    found = schedules(assembly)["vault-shop-daily"]

    assert found["ScheduleExpression"] == "cron(15 1 * * ? *)"
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert found["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert found["GroupName"] == "vault"
    weekly = schedules(assembly)["vault-shop-weekly"]
    assert json.dumps(weekly["Target"]["Arn"]).endswith(':stateMachine:vault-backup-production"]]}')


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("vault-shop-hourly", "vault-capture"),
        ("vault-shop-daily", "vault-capture"),
        ("vault-shop-weekly", "vault-backup-production"),
        ("vault-blog-daily", "vault-backup-internet"),
    ],
)
def test_a_schedule_starts_the_machine_of_its_tier_s_mechanism(assembly: Assembly, name: str, machine: str) -> None:
    found = schedules(assembly)[name]

    assert json.dumps(found["Target"]["Arn"]).endswith(f':stateMachine:{machine}"]]}}')
    if machine == "vault-capture":
        sent = json.loads(found["Target"]["Input"])
        assert CaptureRequest(**sent, execution="arn", execution_started_at="2026-01-01T00:00:00Z").database == "shop"


def test_unneeded_chunks_are_collected_after_the_week_s_backups(assembly: Assembly) -> None:
    found = schedules(assembly)["vault-shop-collect"]

    assert found["ScheduleExpression"] == "cron(0 9 ? * SUN *)"
    assert found["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert json.dumps(found["Target"]["Arn"]).endswith(':stateMachine:vault-collect"]]}')
    request = CollectRequest(**json.loads(found["Target"]["Input"]), execution="arn", run="run")
    assert (request.database, request.dry_run) == ("shop", False)


def test_what_has_expired_is_removed_each_day_before_chunks_are_collected(assembly: Assembly) -> None:
    found = schedules(assembly)["vault-shop-prune"]

    assert found["ScheduleExpression"] == "cron(0 8 * * ? *)"
    assert json.dumps(found["Target"]["Arn"]).endswith(':stateMachine:vault-prune"]]}')
    request = PruneRequest(**json.loads(found["Target"]["Input"]), execution="arn", run="run")
    assert (request.database, request.dry_run) == ("shop", False)


def test_a_schedule_spreads_retries_and_never_loses_a_start(assembly: Assembly) -> None:
    for found in schedules(assembly).values():
        target = found["Target"]
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10}
        assert "DeadLetters" in json.dumps(target["DeadLetterConfig"])
    window = schedules(assembly)["vault-blog-daily"]["FlexibleTimeWindow"]
    assert window == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}


def test_what_a_schedule_sends_is_a_backup_request(assembly: Assembly) -> None:
    others = ("-collect", "-prune", "-sweep")
    backups = {name: found for name, found in schedules(assembly).items() if not name.endswith(others)}
    for name, found in backups.items():
        sent = json.loads(found["Target"]["Input"])
        request = BackupRequest(**sent, execution="arn", execution_started_at="2026-01-01T00:00:00Z")
        assert name == f"vault-{request.database}-{request.tier}"
        assert request.scheduled_at == "<aws.scheduler.scheduled-time>"


def test_schedules_of_other_accounts_cannot_use_the_role(assembly: Assembly) -> None:
    (statement,) = role(assembly, "vault-schedules")["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_the_command_finds_machines_and_policies_by_the_outputs(assembly: Assembly) -> None:
    outputs = set(assembly.template("workflows")["Outputs"])

    assert {
        "VerifyMachine",
        "CollectMachine",
        "PruneMachine",
        "RebuildMachine",
        "ReplicationMachine",
        "ProtectMachine",
        "CaptureMachine",
        "SweepMachine",
        "BackupMachineInternet",
        "BackupMachineProduction",
        "RestoreMachineInternet",
        "RestoreMachineProduction",
        "DeadLetters",
        "ViewerPolicy",
        "OperatorPolicy",
        "ApproverPolicy",
        "SecurityGroupProduction",
    } <= outputs
