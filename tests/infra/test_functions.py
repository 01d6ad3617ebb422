"""The functions: how they run, and that each may do its own step and nothing beside it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from holdfast_infra.inventory import ONCE, PER_NETWORK, FunctionPlan

from .conftest import Assembly

pytestmark = pytest.mark.xdist_group("infra")

PLACES: list[tuple[str | None, FunctionPlan]] = [
    *[(None, plan) for plan in ONCE],
    *[(network, plan) for network in ("internet", "production") for plan in PER_NETWORK],
]
NAMES = {
    "-".join(part for part in ("vault", network, plan.capability, plan.name) if part): (network, plan)
    for network, plan in PLACES
}
UNSCOPED = {
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
    "states:SendTaskFailure",
    "states:SendTaskHeartbeat",
    "states:SendTaskSuccess",
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBClusters",
    "rds:DescribeDBClusterSnapshots",
    "rds:DescribeDBInstanceAutomatedBackups",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshots",
    "rds:ListTagsForResource",
    "secretsmanager:ListSecrets",
}


def as_list(value: Any) -> list[Any]:
    """Return *value* as a list, since policies have single values too."""
    return value if isinstance(value, list) else [value]


def function(assembly: Assembly, name: str) -> dict[str, Any]:
    """Return the properties of the function called *name*."""
    found = assembly.resources("workflows", "Lambda::Function").values()
    (properties,) = [one["Properties"] for one in found if one["Properties"]["FunctionName"] == name]
    return dict(properties)


def statements(assembly: Assembly, name: str) -> list[dict[str, Any]]:
    """Return what the role called *name* may do."""
    roles = assembly.resources("workflows", "IAM::Role").values()
    (role,) = [one["Properties"] for one in roles if one["Properties"]["RoleName"] == name]
    (policy,) = role["Policies"]
    return list(policy["PolicyDocument"]["Statement"])


def resources_of(assembly: Assembly, name: str, action: str) -> str:
    """Return, as text, the resources on which the role called *name* may do *action*; empty when it may not."""
    found = [each["Resource"] for each in statements(assembly, name) if action in as_list(each["Action"])]
    return json.dumps(found) if found else ""


def test_every_function_of_the_inventory_is_deployed_once_per_network(assembly: Assembly) -> None:
    deployed = [one["Properties"] for one in assembly.resources("workflows", "Lambda::Function").values()]

    assert sorted(one["FunctionName"] for one in deployed) == sorted(NAMES)
    assert all(len(name) <= 64 for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_function_runs_on_arm_with_traces_and_structured_logs_that_end(assembly: Assembly, name: str) -> None:
    found = function(assembly, name)
    _, plan = NAMES[name]

    assert found["Runtime"] == "python3.13"
    assert found["Architectures"] == ["arm64"]
    assert found["Handler"] == f"{plan.name}.handler"
    assert found["Timeout"] == plan.seconds
    assert found["TracingConfig"] == {"Mode": "Active"}
    assert found["LoggingConfig"]["LogFormat"] == "JSON"
    group = assembly.resources("workflows", "Logs::LogGroup")[found["LoggingConfig"]["LogGroup"]["Ref"]]
    assert group["Properties"]["LogGroupName"] == f"/aws/lambda/{name}"
    assert group["Properties"]["RetentionInDays"] == 30


@pytest.mark.parametrize("name", NAMES)
def test_a_functions_environment_is_what_its_settings_ask_for(assembly: Assembly, name: str) -> None:
    variables = function(assembly, name)["Environment"]["Variables"]
    _, plan = NAMES[name]

    own = {key for key in variables if key.startswith("HOLDFAST_")}

    assert own == plan.settings.required()  # and the replica's only where there is a second region
    assert set(variables) - own == {
        "POWERTOOLS_LOG_LEVEL",
        "POWERTOOLS_METRICS_NAMESPACE",
        "POWERTOOLS_SERVICE_NAME",
    }
    assert variables["POWERTOOLS_SERVICE_NAME"] == f"{plan.capability}.{plan.name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_functions_role_is_its_own_and_has_no_policy_of_others(assembly: Assembly, name: str) -> None:
    role = function(assembly, name)["Role"]["Fn::GetAtt"][0]
    others = [one["Properties"]["Role"] for one in assembly.resources("workflows", "Lambda::Function").values()]
    properties = assembly.resources("workflows", "IAM::Role")[role]["Properties"]

    assert others.count({"Fn::GetAtt": [role, "Arn"]}) == 1
    assert "ManagedPolicyArns" not in properties
    assert not assembly.resources("workflows", "IAM::Policy")


@pytest.mark.parametrize("name", NAMES)
def test_no_action_has_a_wildcard_and_star_stands_only_where_nothing_can_be_named(
    assembly: Assembly, name: str
) -> None:
    for each in statements(assembly, name):
        actions = set(as_list(each["Action"]))
        assert each["Effect"] == "Allow"
        assert not [action for action in actions if "*" in action]
        if "*" in as_list(each["Resource"]):
            assert all(action in UNSCOPED or action.startswith("ec2:") for action in actions)


@pytest.mark.parametrize("name", NAMES)
def test_nobody_may_delete_from_a_bucket_or_open_a_lock(assembly: Assembly, name: str) -> None:
    actions = {action for each in statements(assembly, name) for action in as_list(each["Action"])}

    removing = {action for action in actions if action.startswith(("s3:Delete", "s3:Bypass"))}
    # Without a version, deleting sets a marker and removes nothing.
    marker = {"s3:DeleteObject"}
    allowed = {"vault-verify-check": marker, "vault-verify-conclude": marker}
    allowed["vault-retention-collect"] = {"s3:DeleteObjectVersion", *marker}
    allowed["vault-retention-prune"] = {"s3:DeleteObjectVersion", *marker}
    assert removing == allowed.get(name, set())
    assert ("s3:PutObjectLegalHold" in actions) == (name == "vault-retention-protect")
    writing = {"secretsmanager:PutSecretValue"} if name == "vault-snapshot-freeze" else set()
    assert {each for each in actions if each.startswith(("iam:", "lambda:", "secretsmanager:Put"))} == writing


RIGHTS_AT_PROVIDERS = {
    "vault-retention-prune": {"rds:DeleteDBSnapshot"},
    "vault-snapshot-capture": {"rds:AddTagsToResource", "rds:CreateDBSnapshot"},
    "vault-snapshot-freeze": {
        "rds:AddTagsToResource",
        "rds:RestoreDBInstanceFromDBSnapshot",
        "rds:RestoreDBInstanceToPointInTime",
        "secretsmanager:CreateSecret",
        "secretsmanager:DeleteSecret",
        "secretsmanager:PutSecretValue",
        "secretsmanager:TagResource",
    },
    "vault-snapshot-thaw": {"rds:DeleteDBCluster", "rds:DeleteDBInstance", "secretsmanager:DeleteSecret"},
    "vault-retention-sweep": {"rds:DeleteDBCluster", "rds:DeleteDBInstance", "secretsmanager:DeleteSecret"},
}
LOOKING = ("rds:Describe", "rds:List", "secretsmanager:Get", "secretsmanager:List")


@pytest.mark.parametrize("name", NAMES)
def test_only_these_functions_change_anything_at_a_provider(assembly: Assembly, name: str) -> None:
    actions = {action for each in statements(assembly, name) for action in as_list(each["Action"])}

    changing = {
        each for each in actions if each.startswith(("rds:", "secretsmanager:")) and not each.startswith(LOOKING)
    }
    assert changing == RIGHTS_AT_PROVIDERS.get(name, set())


@pytest.mark.parametrize("name", sorted(RIGHTS_AT_PROVIDERS))
def test_what_is_made_or_deleted_at_rds_bears_our_prefix(assembly: Assembly, name: str) -> None:
    for action in RIGHTS_AT_PROVIDERS[name]:
        found = re.findall(
            r":(db|cluster|snapshot|cluster-snapshot|secret):([^\"]*)", resources_of(assembly, name, action)
        )
        named = {text for kind, text in found if not text.startswith("holdfast-")}
        # A restore names its source too; nothing is ever deleted by another name.
        assert named <= ({"vault/copies/*-??????"} if action.startswith("secrets") else {"prod-1", "*"})
        if action.startswith("rds:Delete"):
            assert named == set()


def test_concluding_hides_verifications_and_nothing_else(assembly: Assembly) -> None:
    hidden = resources_of(assembly, "vault-verify-conclude", "s3:DeleteObject")

    assert re.findall(r'"(/[^"]*)"', hidden) == ["/*/points/*/verification.json"]


def test_only_sealing_functions_sign(assembly: Assembly) -> None:
    assert {name for name in NAMES if resources_of(assembly, name, "kms:Sign")} == {
        "vault-internet-snapshot-seal",
        "vault-production-snapshot-seal",
    }


def test_only_holders_answer_task_tokens(assembly: Assembly) -> None:
    assert {name for name in NAMES if resources_of(assembly, name, "states:SendTaskSuccess")} == {
        "vault-internet-snapshot-hold",
        "vault-production-snapshot-hold",
    }


def test_verification_reads_no_secret_and_restores_write_nothing_to_the_archive(assembly: Assembly) -> None:
    for name in NAMES:
        if "-verify-" in name:
            assert not resources_of(assembly, name, "secretsmanager:GetSecretValue")
        if "-restore-" in name or name.endswith(("verify-plan", "verify-check")):
            assert "Archive" not in resources_of(assembly, name, "s3:PutObject")


def test_only_dumps_write_chunks(assembly: Assembly) -> None:
    writers = {name for name in NAMES if "/*/chunks/*" in resources_of(assembly, name, "s3:PutObject")}

    assert writers == {"vault-internet-snapshot-dump", "vault-production-snapshot-dump"}


@pytest.mark.parametrize(
    ("name", "readable", "hidden"),
    [
        pytest.param(
            "vault-production-snapshot-dump", ["vault/shop-??????"], ["neon/blog", "spare"], id="a dump in a VPC"
        ),
        pytest.param(
            "vault-internet-snapshot-dump", ["neon/blog-??????"], ["vault/shop", "spare"], id="a dump outside"
        ),
        pytest.param(
            "vault-internet-restore-load", ["neon/blog-??????", "spare-AbCdEf"], ["vault/shop"], id="a restore outside"
        ),
    ],
)
def test_a_network_reads_the_secrets_of_its_own_databases(
    assembly: Assembly, name: str, readable: list[str], hidden: list[str]
) -> None:
    found = resources_of(assembly, name, "secretsmanager:GetSecretValue")

    assert all(secret in found for secret in readable)
    assert not [secret for secret in hidden if secret in found]


def test_no_secret_is_created_by_the_template(assembly: Assembly) -> None:
    assert not assembly.resources("workflows", "SecretsManager::Secret")


def test_a_holder_that_crashes_is_not_run_again_and_leaves_its_token_nowhere(assembly: Assembly) -> None:
    configured = assembly.resources("workflows", "Lambda::EventInvokeConfig").values()

    assert len(configured) == 2
    for one in configured:
        assert "SnapshotHold" in json.dumps(one["Properties"]["FunctionName"])
        assert one["Properties"]["MaximumRetryAttempts"] == 0
        assert "DestinationConfig" not in one["Properties"]


def test_functions_that_touch_databases_have_our_client_programs_and_the_others_do_not(assembly: Assembly) -> None:
    for name, (_, plan) in NAMES.items():
        layers = json.dumps(function(assembly, name)["Layers"])
        assert ("PgclientLayer" in layers) == plan.touches_databases
        assert all(f"{layer}Layer" in layers for layer in ("Holdfast", "Dependencies", "Configuration"))


def test_functions_sit_in_the_network_of_their_databases(assembly: Assembly) -> None:
    for name, (network, _) in NAMES.items():
        place = function(assembly, name).get("VpcConfig")
        assert bool(place) == (network == "production")
        if place:
            assert place["SubnetIds"] == ["subnet-0a1b2c3d4e5f60718", "subnet-1a2b3c4d5e6f70819"]


def test_the_dead_letters_are_encrypted_and_kept_for_two_weeks(assembly: Assembly) -> None:
    (queue,) = assembly.resources("workflows", "SQS::Queue").values()

    assert queue["Properties"]["SqsManagedSseEnabled"] is True
    assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
