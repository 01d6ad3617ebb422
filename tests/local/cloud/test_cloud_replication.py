"""Replication to another region's bucket, and keys with replicas there, as S3 and KMS have them."""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any

import pytest

from holdfast_local.cloud import replication

from .conftest import role

THERE = "eu-west-1"
LOCKED = {
    "ObjectLockEnabled": True,
    "VersioningConfiguration": {"Status": "Enabled"},
    "ObjectLockConfiguration": {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}},
    },
}
READING = (
    "ObjectVersionForReplication",
    "ObjectVersionAcl",
    "ObjectVersionTagging",
    "ObjectRetention",
    "ObjectLegalHold",
)
RIGHTS = [
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    *[f"s3:Get{name}" for name in READING],
    "s3:ReplicateObject",
    "s3:ReplicateTags",
]


def replica_bucket(cloud: Any) -> str:
    """Create a locked bucket in the other region and return its name."""
    name = f"replica-{uuid.uuid4().hex[:12]}"
    where = {"LocationConstraint": THERE}
    cloud.client("s3", THERE).create_bucket(
        Bucket=name, CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True
    )
    return name


def source_bucket(cloud: Any, directory: Any, replica: str, rights: list[str]) -> str:
    """Deploy a locked bucket that replicates to *replica* with a role that has *rights*, and return its name."""
    rule = {
        "Id": "everything",
        "Status": "Enabled",
        "Priority": 1,
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": f"arn:aws:s3:::{replica}"},
    }
    source = {**LOCKED, "ReplicationConfiguration": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Rules": [rule]}}
    template = {
        "Resources": {
            "Role": role("s3", {"Effect": "Allow", "Action": rights, "Resource": "*"}),
            "Source": {"Type": "AWS::S3::Bucket", "Properties": source},
        },
        "Outputs": {"Source": {"Value": {"Ref": "Source"}}},
    }
    return str(cloud.deploy(directory, template)["Source"])


class Pair:
    """A bucket, its replica and what they say of an object's version."""

    def __init__(self, cloud: Any, source: str, replica: str) -> None:
        self.cloud, self.source, self.replica = cloud, source, replica
        self.s3 = cloud.client("s3")

    def put(self, key: str, body: bytes = b"rows", **more: Any) -> str:
        return str(self.s3.put_object(Bucket=self.source, Key=key, Body=body, **more)["VersionId"])

    def status(self, key: str, version: str) -> str:
        return str(self.s3.head_object(Bucket=self.source, Key=key, VersionId=version).get("ReplicationStatus"))

    def done(self, key: str, version: str) -> str:
        """Wait until the version is pending no more, and return its status."""
        self.cloud.eventually(lambda: self.status(key, version) != "PENDING")
        return self.status(key, version)

    def versions(self, key: str) -> list[str]:
        """Return the ids of all versions and markers in the replica, the newest first."""
        found = self.s3.list_object_versions(Bucket=self.replica, Prefix=key)
        each = sorted(
            [*found.get("Versions", []), *found.get("DeleteMarkers", [])], key=lambda one: not one["IsLatest"]
        )
        return [one["VersionId"] for one in each]

    def retained(self, bucket: str, key: str, version: str) -> datetime.datetime:
        answer = self.s3.get_object_retention(Bucket=bucket, Key=key, VersionId=version)
        return answer["Retention"]["RetainUntilDate"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def pair(cloud, tmp_path_factory) -> Pair:
    replica = replica_bucket(cloud)
    return Pair(cloud, source_bucket(cloud, tmp_path_factory.mktemp("pair"), replica, RIGHTS), replica)


def test_a_version_is_pending_then_in_the_other_region_under_the_same_id_with_its_lock(pair: Pair) -> None:
    version = pair.put("k")
    first = pair.status("k", version)

    assert (first, pair.done("k", version)) == ("PENDING", "COMPLETED")
    there = pair.s3.get_object(Bucket=pair.replica, Key="k", VersionId=version)
    assert (there["Body"].read(), there["ReplicationStatus"]) == (b"rows", "REPLICA")
    assert pair.retained(pair.replica, "k", version) == pair.retained(pair.source, "k", version)


def test_a_multipart_upload_is_replicated_too(pair: Pair) -> None:
    upload = pair.s3.create_multipart_upload(Bucket=pair.source, Key="parts")["UploadId"]
    where = {"Bucket": pair.source, "Key": "parts", "UploadId": upload}
    part = pair.s3.upload_part(**where, PartNumber=1, Body=b"part")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    version = pair.s3.complete_multipart_upload(**where, MultipartUpload=parts)["VersionId"]

    assert pair.done("parts", version) == "COMPLETED"
    assert pair.s3.get_object(Bucket=pair.replica, Key="parts", VersionId=version)["Body"].read() == b"part"
    assert pair.retained(pair.replica, "parts", version) == pair.retained(pair.source, "parts", version)


def test_a_lock_that_is_extended_is_extended_in_the_replica(pair: Pair) -> None:
    version = pair.put("longer")
    pair.done("longer", version)
    until = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=90)).replace(microsecond=0)

    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    pair.s3.put_object_retention(Bucket=pair.source, Key="longer", VersionId=version, Retention=retention)

    pair.cloud.eventually(lambda: pair.retained(pair.replica, "longer", version) == until)


def test_a_delete_marker_stays_where_it_is_and_the_removal_of_a_version_too(pair: Pair) -> None:
    hidden = pair.put("hidden")
    removed = pair.put("removed")
    for key, version in (("hidden", hidden), ("removed", removed)):
        pair.done(key, version)

    pair.s3.delete_object(Bucket=pair.source, Key="hidden")
    pair.s3.delete_object(Bucket=pair.source, Key="removed", VersionId=removed, BypassGovernanceRetention=True)
    last = pair.put("last")
    pair.done("last", last)  # what came after it has arrived

    assert pair.versions("hidden") == [hidden]
    assert pair.versions("removed") == [removed]


def test_versions_of_a_key_keep_their_order(pair: Pair) -> None:
    first, second = pair.put("twice", b"1"), pair.put("twice", b"2")
    pair.done("twice", second)

    assert pair.versions("twice") == [second, first]
    assert pair.s3.get_object(Bucket=pair.replica, Key="twice")["Body"].read() == b"2"


@pytest.mark.parametrize(
    "missing", ["s3:GetObjectVersionForReplication", "s3:ReplicateObject", "s3:GetObjectRetention"]
)
def test_without_a_right_of_its_role_a_version_fails_to_be_replicated(cloud, tmp_path, missing: str) -> None:
    replica = replica_bucket(cloud)
    rights = [right for right in RIGHTS if right != missing]
    pair = Pair(cloud, source_bucket(cloud, tmp_path, replica, rights), replica)

    version = pair.put("k")

    assert pair.done("k", version) == "FAILED"
    assert pair.versions("k") == []


def test_the_lag_is_short_enough_for_people_to_wait() -> None:
    assert 0 < replication.LAG_SECONDS <= 2


def test_a_replica_of_a_key_signs_and_derives_like_its_primary_under_a_policy_of_its_own(cloud, tmp_path) -> None:
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    kms, there = cloud.client("kms"), cloud.client("kms", THERE)
    primary = kms.create_key(MultiRegion=True, KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]
    policy = {"Version": "2012-10-17", "Statement": [{**anybody, "Sid": "ItsOwn"}]}
    template = {
        "Resources": {
            "Replica": {
                "Type": "AWS::KMS::ReplicaKey",
                "Properties": {"PrimaryKeyArn": primary["Arn"], "KeyPolicy": policy},
            }
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Replica", "Arn"]}}},
    }

    arn = cloud.deploy(tmp_path, template, region=THERE)["Arn"]

    assert arn == primary["Arn"].replace(cloud.region, THERE)
    asked = {"MacAlgorithm": "HMAC_SHA_256", "Message": b"shop"}
    macs = {client.generate_mac(KeyId=key, **asked)["Mac"] for client, key in ((kms, primary["Arn"]), (there, arn))}
    assert len(macs) == 1
    assert "ItsOwn" in json.dumps(there.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    assert "ItsOwn" not in kms.get_key_policy(KeyId=primary["Arn"], PolicyName="default")["Policy"]
