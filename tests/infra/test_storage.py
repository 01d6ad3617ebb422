"""The storage stack: encrypted, locked, retained, closed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Assembly

pytestmark = pytest.mark.xdist_group("infra")

LOCKED = ("Archive", "Audit")
OURS = ("Archive", "Audit", "Scratch")


def denied(policy: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the statements of *policy* that deny something."""
    return [each for each in policy["Statement"] if each["Effect"] == "Deny"]


def test_nothing_is_removed_with_the_stack(assembly: Assembly) -> None:
    kinds = ("S3::Bucket", "KMS::Key", "DynamoDB::GlobalTable")
    kept = [one for kind in kinds for one in assembly.resources("storage", kind).values()]

    assert len(kept) == 8
    assert {one["DeletionPolicy"] for one in kept} == {"Retain"}
    assert {one["UpdateReplacePolicy"] for one in kept} == {"Retain"}


def test_the_stack_itself_cannot_be_deleted_by_mistake(assembly: Assembly) -> None:
    stack = assembly.manifest()["artifacts"]["vault-storage"]

    assert stack["properties"]["terminationProtection"] is True


@pytest.mark.parametrize("name", [*OURS, "AccessLogs"])
def test_no_bucket_is_public_and_none_is_reached_without_tls(assembly: Assembly, name: str) -> None:
    bucket = assembly.named("storage", "S3::Bucket", name)["Properties"]
    policy = assembly.named("storage", "S3::BucketPolicy", f"{name}Policy")["Properties"]["PolicyDocument"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (statement,) = denied(policy)
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Principal"] == {"AWS": "*"}
    assert statement["Action"] == "s3:*"


@pytest.mark.parametrize("name", OURS)
def test_every_bucket_is_encrypted_with_our_own_key(assembly: Assembly, name: str) -> None:
    bucket = assembly.named("storage", "S3::Bucket", name)["Properties"]

    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert "DataKey" in json.dumps(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"])
    assert rule["BucketKeyEnabled"] is True


@pytest.mark.parametrize(("name", "days"), [("Archive", 5), ("Audit", 365)])
def test_archive_and_audit_are_versioned_and_locked(assembly: Assembly, name: str, days: int) -> None:
    bucket = assembly.named("storage", "S3::Bucket", name)["Properties"]

    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["ObjectLockEnabled"] is True
    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "GOVERNANCE", "Days": days}


@pytest.mark.parametrize("name", LOCKED)
def test_no_lifecycle_rule_expires_an_object_of_a_locked_bucket(assembly: Assembly, name: str) -> None:
    rules = assembly.named("storage", "S3::Bucket", name)["Properties"]["LifecycleConfiguration"]["Rules"]

    assert not [key for rule in rules for key in rule if "Expiration" in key]


@pytest.mark.parametrize("name", LOCKED)
def test_who_reads_a_locked_bucket_is_logged(assembly: Assembly, name: str) -> None:
    bucket = assembly.named("storage", "S3::Bucket", name)["Properties"]

    assert "AccessLogs" in json.dumps(bucket["LoggingConfiguration"]["DestinationBucketName"])


def test_scratch_expires_after_two_weeks(assembly: Assembly) -> None:
    bucket = assembly.named("storage", "S3::Bucket", "Scratch")["Properties"]

    assert [rule["ExpirationInDays"] for rule in bucket["LifecycleConfiguration"]["Rules"]] == [14]
    assert "ObjectLockEnabled" not in bucket


def test_the_catalogue_can_be_recovered_and_not_deleted(assembly: Assembly) -> None:
    (table,) = assembly.resources("storage", "DynamoDB::GlobalTable").values()
    (replica,) = table["Properties"]["Replicas"]

    assert replica["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert replica["DeletionProtectionEnabled"] is True
    assert table["Properties"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["Properties"]["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS"}
    assert table["Properties"]["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert [key["AttributeName"] for key in table["Properties"]["KeySchema"]] == ["pk", "sk"]


def test_the_data_key_rotates(assembly: Assembly) -> None:
    assert assembly.named("storage", "KMS::Key", "DataKey")["Properties"]["EnableKeyRotation"] is True


def test_the_signing_key_is_asymmetric_and_the_digest_key_never_leaves_kms(assembly: Assembly) -> None:
    signing = assembly.named("storage", "KMS::Key", "SigningKey")["Properties"]
    digest = assembly.named("storage", "KMS::Key", "DigestKey")["Properties"]

    assert (signing["KeySpec"], signing["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")
    assert (digest["KeySpec"], digest["KeyUsage"]) == ("HMAC_256", "GENERATE_VERIFY_MAC")


@pytest.mark.parametrize(
    ("key", "action", "roles"),
    [
        pytest.param(
            "SigningKey",
            "kms:Sign",
            {"vault-internet-snapshot-seal", "vault-production-snapshot-seal"},
            id="only sealing signs",
        ),
        pytest.param(
            "DigestKey",
            "kms:GenerateMac",
            {
                "vault-catalogue-rebuild",
                "vault-verify-check",
                "vault-verify-conclude",
                *(
                    f"vault-{place}-restore-{step}"
                    for place in ("internet", "production")
                    for step in ("assess", "prove")
                ),
            },
            id="only checking, assessing and proving derive digest keys",
        ),
    ],
)
def test_a_key_refuses_everybody_but_its_own_functions(
    assembly: Assembly, key: str, action: str, roles: set[str]
) -> None:
    policy = assembly.named("storage", "KMS::Key", key)["Properties"]["KeyPolicy"]

    (statement,) = [one for one in denied(policy) if one["Action"] == action]

    assert statement["Principal"] == {"AWS": "*"}
    allowed = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert {json.dumps(arn).rpartition(":role/")[2].rstrip('"]}') for arn in allowed} == roles


def test_the_command_finds_everything_by_the_outputs(assembly: Assembly) -> None:
    outputs = set(assembly.template("storage")["Outputs"])

    assert {"ArchiveBucket", "ScratchBucket", "AuditBucket", "CatalogueTable", "SigningKey", "DigestKey"} <= outputs
