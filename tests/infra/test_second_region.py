"""The second region: what is copied there, by whom, with which keys, and in which order the stacks come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cfnlint.api import lint

from .conftest import CONFIGURATION, Assembly, synthesised
from .test_functions import resources_of

pytestmark = pytest.mark.xdist_group("infra")

STACKS = ("replica", "storage", "second-storage", "workflows", "second-workflows", "monitoring")
REPLICA = {"Fn::Join": ["", ["vault-replica-", {"Ref": "AWS::AccountId"}, "-eu-west-1"]]}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """Return what is deployed to AWS with a second region."""
    text = CONFIGURATION.replace("[networks.production]", 'second_region = "eu-west-1"\n\n[networks.production]', 1)
    return synthesised(tmp_path_factory.mktemp("two"), "al2023-arm64", nag=True, text=text)


def order(assembly: Assembly) -> list[str]:
    """Return the stacks so that each comes after those that it depends on."""
    artifacts = assembly.manifest()["artifacts"]
    done: list[str] = []

    def visit(name: str) -> None:
        for needed in artifacts[name].get("dependencies", []):
            if needed in artifacts and artifacts[needed]["type"] == "aws:cloudformation:stack":
                visit(needed)
        if name not in done:
            done.append(name)

    for name, artifact in artifacts.items():
        if artifact["type"] == "aws:cloudformation:stack":
            visit(name)
    return done


def test_each_stack_comes_after_what_it_needs_in_the_other_region(two: Assembly) -> None:
    found = order(two)

    positions = [found.index(f"vault-{name}") for name in ("replica", "storage", "second-storage", "second-workflows")]
    assert positions == sorted(positions)


def test_the_second_region_has_stacks_of_the_same_names(two: Assembly) -> None:
    artifacts = two.manifest()["artifacts"]

    found = {
        (artifact["properties"].get("stackName", name), artifact["environment"].rpartition("/")[2])
        for name, artifact in artifacts.items()
        if artifact["type"] == "aws:cloudformation:stack"
    }

    second = {(f"vault-{name}", "eu-west-1") for name in ("replica", "storage", "workflows")}
    assert found == second | {(f"vault-{name}", "eu-central-1") for name in ("storage", "workflows", "monitoring")}


def rule(two: Assembly) -> dict[str, Any]:
    bucket = two.named("storage", "S3::Bucket", "Archive")["Properties"]
    (found,) = bucket["ReplicationConfiguration"]["Rules"]
    return dict(found)


def test_everything_in_the_archive_is_replicated_within_fifteen_minutes_and_measured(two: Assembly) -> None:
    found = rule(two)

    assert (found["Status"], found["Filter"]) == ("Enabled", {"Prefix": ""})
    assert found["Destination"]["ReplicationTime"] == {"Status": "Enabled", "Time": {"Minutes": 15}}
    assert found["Destination"]["Metrics"] == {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}
    assert "vault-replica-" in json.dumps(found["Destination"]["Bucket"])


def test_encrypted_objects_and_changes_of_replicas_are_replicated_and_delete_markers_are_not(two: Assembly) -> None:
    found = rule(two)

    assert found["DeleteMarkerReplication"] == {"Status": "Disabled"}
    assert found["SourceSelectionCriteria"] == {
        "SseKmsEncryptedObjects": {"Status": "Enabled"},
        "ReplicaModifications": {"Status": "Enabled"},
    }
    key = json.dumps(found["Destination"]["EncryptionConfiguration"]["ReplicaKmsKeyID"])
    assert ":kms:eu-west-1:" in key
    assert "alias/vault/data" in key


def test_the_role_of_replication_can_hide_or_remove_nothing(two: Assembly) -> None:
    (policy,) = two.resources("storage", "IAM::Policy").values()

    actions = {
        action
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }

    assert {"s3:GetObjectVersionForReplication", "s3:ReplicateObject", "s3:GetObjectRetention"} <= actions
    assert not [action for action in actions if "Delete" in action or "Put" in action or "*" in action]
    (role,) = [one for one in two.resources("storage", "IAM::Role").values()]
    assert role["Properties"]["RoleName"] == "vault-s3-replication"


def test_the_replica_is_locked_versioned_closed_encrypted_and_retained(two: Assembly) -> None:
    bucket = two.named("replica", "S3::Bucket", "Archive")
    properties = bucket["Properties"]
    policy = two.named("replica", "S3::BucketPolicy", "ArchivePolicy")["Properties"]["PolicyDocument"]

    assert properties["BucketName"] == REPLICA
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 5}
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert "aws:SecureTransport" in json.dumps(policy)
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert "DataKey" in json.dumps(encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])
    assert bucket["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize(
    ("key", "action", "role"),
    [
        pytest.param("SigningKey", "kms:Sign", "snapshot-seal-2", id="signing"),
        pytest.param("DigestKey", "kms:GenerateMac", "verify-check-2", id="digest"),
    ],
)
def test_a_replica_of_a_key_is_reserved_for_the_second_regions_own_roles(
    two: Assembly, key: str, action: str, role: str
) -> None:
    replica = two.named("second-storage", "KMS::ReplicaKey", key)
    name = {"SigningKey": "signing", "DigestKey": "digest"}[key]

    assert replica["DeletionPolicy"] == "Retain"
    primary = replica["Properties"]["PrimaryKeyArn"]
    assert primary == f"{{{{resolve:secretsmanager:vault/second-region/keys:SecretString:{name}}}}}"
    (denied,) = [one for one in replica["Properties"]["KeyPolicy"]["Statement"] if one["Effect"] == "Deny"]
    assert denied["Action"] == action
    allowed = json.dumps(denied["Condition"]["ArnNotEquals"]["aws:PrincipalArn"])
    assert role in allowed


def test_keys_may_be_replicated_to_the_second_region_only(two: Assembly, assembly: Assembly) -> None:
    for found, condition in ((two, {"StringNotEquals": {"kms:ReplicaRegion": "eu-west-1"}}), (assembly, None)):
        for name in ("SigningKey", "DigestKey"):
            key = found.named("storage", "KMS::Key", name)["Properties"]
            (denied,) = [one for one in key["KeyPolicy"]["Statement"] if one["Action"] == "kms:ReplicateKey"]
            assert key["MultiRegion"] is True
            assert denied["Effect"] == "Deny"
            assert denied.get("Condition") == condition


def test_the_second_region_has_every_function_and_machine_and_no_schedule_that_fires(two: Assembly) -> None:
    def names(kind: str, key: str) -> list[set[str]]:
        stacks = ("workflows", "second-workflows")
        return [{str(one["Properties"][key]) for one in two.resources(stack, kind).values()} for stack in stacks]

    for kind, key in (("Lambda::Function", "FunctionName"), ("StepFunctions::StateMachine", "StateMachineName")):
        first, second = names(kind, key)
        assert first == second
    assert {
        one["Properties"]["State"] for one in two.resources("second-workflows", "Scheduler::Schedule").values()
    } == {"DISABLED"}
    assert {one["Properties"]["State"] for one in two.resources("workflows", "Scheduler::Schedule").values()} == {
        "ENABLED"
    }


@pytest.mark.parametrize(("kind", "key"), [("IAM::Role", "RoleName"), ("IAM::ManagedPolicy", "ManagedPolicyName")])
def test_roles_and_policies_of_the_whole_account_have_names_of_their_own_in_each_region(
    two: Assembly, kind: str, key: str
) -> None:
    found = [
        one["Properties"][key]
        for stack in STACKS
        for one in two.resources(stack, kind).values()
        if key in one["Properties"]
    ]

    assert len(found) == len(set(found))
    assert all(len(name) <= 64 for name in found)


def test_each_database_is_looked_at_every_quarter_of_an_hour_with_an_alarm(two: Assembly, assembly: Assembly) -> None:
    def looks(found: Assembly) -> list[dict[str, Any]]:
        each = found.resources("workflows", "Scheduler::Schedule").values()
        return [one["Properties"] for one in each if one["Properties"]["Name"].endswith("-replication")]

    assert {(one["Name"], one["ScheduleExpression"]) for one in looks(two)} == {
        ("vault-shop-replication", "rate(15 minutes)"),
        ("vault-blog-replication", "rate(15 minutes)"),
    }
    assert looks(assembly) == []
    alarms = [one["Properties"] for one in two.resources("monitoring", "CloudWatch::Alarm").values()]
    lags = [one for one in alarms if one.get("MetricName") == "ReplicationLagSeconds"]
    assert {one["AlarmName"] for one in lags} == {"vault-shop-replication", "vault-blog-replication"}
    assert {(one["Threshold"], one["TreatMissingData"]) for one in lags} == {(7200, "breaching")}


def test_functions_of_the_second_region_are_in_no_vpc_of_the_first(two: Assembly) -> None:
    functions = two.resources("second-workflows", "Lambda::Function").values()

    assert not [one for one in functions if "VpcConfig" in one["Properties"]]


def test_without_a_second_region_nothing_is_replicated(assembly: Assembly) -> None:
    artifacts = assembly.manifest()["artifacts"]
    bucket = assembly.named("storage", "S3::Bucket", "Archive")["Properties"]

    assert sorted(name for name, one in artifacts.items() if one["type"] == "aws:cloudformation:stack") == [
        "vault-monitoring",
        "vault-storage",
        "vault-workflows",
    ]
    assert "ReplicationConfiguration" not in bucket
    assert not assembly.resources("storage", "SecretsManager::Secret")


def test_cdk_nag_and_synthesis_say_nothing_of_two_regions(two: Assembly) -> None:
    # Its reports bear stacks' names, and two stacks of one name share a file: what it finds is in the metadata too.
    notes = [
        entry
        for file in two.directory.glob("*.metadata.json")
        for entries in json.loads(file.read_text()).values()
        for entry in entries
        if entry["type"] in {"aws:cdk:warning", "aws:cdk:error"}
    ]

    assert len(list(two.directory.glob("*.metadata.json"))) == len(STACKS)
    assert notes == []


@pytest.mark.parametrize("stack", ["replica", "storage", "second-storage"])
def test_cfn_lint_finds_nothing_with_two_regions(two: Assembly, stack: str) -> None:
    findings = lint(json.dumps(two.template(stack)), regions=["eu-central-1", "eu-west-1"])

    assert [str(each) for each in findings if each.rule.id != "W3005"] == []


def test_what_is_removed_is_removed_in_the_replica_too_and_nothing_else_of_it(two: Assembly) -> None:
    for name, keys in {"vault-retention-collect": "chunks", "vault-retention-prune": "points"}.items():
        found = resources_of(two, name, "s3:DeleteObjectVersion")
        assert found.count("vault-replica-") == 1
        assert found.count("/*/") == found.count(f"/*/{keys}/*") == 2


def test_snapshots_of_ours_alone_are_deleted_in_both_regions(two: Assembly) -> None:
    found = resources_of(two, "vault-retention-prune", "rds:DeleteDBSnapshot")

    assert found.count(":snapshot:holdfast-*") == 2
    assert ":rds:eu-west-1:" in found
    assert not resources_of(two, "vault-retention-prune", "rds:DeleteDBClusterSnapshot")
    assert not resources_of(two, "vault-snapshot-capture", "rds:DeleteDBSnapshot")
