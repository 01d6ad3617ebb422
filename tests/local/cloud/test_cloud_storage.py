"""S3 as Holdfast uses it: locks that hold, conditional writes, checksums, configuration from the template."""

from __future__ import annotations

import base64
import datetime
import hashlib
import uuid

import pytest
from botocore.exceptions import ClientError

DAY = datetime.timedelta(days=1)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def locked(cloud, tmp_path_factory):
    """Deploy a bucket as the archive's: locked, encrypted, versioned, private, TLS only, with a lifecycle."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": {"AWS": "*"},
                "Action": "s3:*",
                "Resource": [{"Fn::GetAtt": ["Archive", "Arn"]}, {"Fn::Sub": "${Archive.Arn}/*"}],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
    key_policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}],
    }
    bucket = {
        "ObjectLockEnabled": True,
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 7}},
        },
        "VersioningConfiguration": {"Status": "Enabled"},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {
                    "BucketKeyEnabled": True,
                    "ServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
                    },
                }
            ]
        },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "leftovers",
                    "Status": "Enabled",
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                    "Transitions": [{"StorageClass": "GLACIER_IR", "TransitionInDays": 90}],
                }
            ]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "Tags": [{"Key": "room", "Value": "archive"}],
    }
    template = {
        "Resources": {
            "Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": key_policy}},
            "Archive": {"Type": "AWS::S3::Bucket", "Properties": bucket},
            "Policy": {
                "Type": "AWS::S3::BucketPolicy",
                "Properties": {"Bucket": {"Ref": "Archive"}, "PolicyDocument": policy},
            },
        },
        "Outputs": {"Archive": {"Value": {"Ref": "Archive"}}, "Key": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}},
    }
    return cloud.deploy(tmp_path_factory.mktemp("locked"), template)


@pytest.fixture
def s3(cloud):
    return cloud.client("s3")


@pytest.fixture
def archive(locked):
    return locked["Archive"]


def key() -> str:
    return f"chunks/{uuid.uuid4().hex}"


def retention(s3, bucket, name, version):
    return s3.get_object_retention(Bucket=bucket, Key=name, VersionId=version)["Retention"]


def test_everything_that_the_template_says_of_a_bucket_can_be_read_back(s3, locked, archive) -> None:
    lock = s3.get_object_lock_configuration(Bucket=archive)["ObjectLockConfiguration"]
    encrypted = s3.get_bucket_encryption(Bucket=archive)["ServerSideEncryptionConfiguration"]["Rules"][0]
    rule = s3.get_bucket_lifecycle_configuration(Bucket=archive)["Rules"][0]

    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 7}
    assert encrypted["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == locked["Key"]
    assert s3.get_bucket_versioning(Bucket=archive)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=archive)["PublicAccessBlockConfiguration"].values())
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert rule["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER_IR"}]
    assert "SecureTransport" in s3.get_bucket_policy(Bucket=archive)["Policy"]
    assert s3.get_bucket_tagging(Bucket=archive)["TagSet"] == [{"Key": "room", "Value": "archive"}]


def test_an_object_is_locked_by_the_bucket_s_default(s3, archive) -> None:
    name = key()
    version = s3.put_object(Bucket=archive, Key=name, Body=b"x")["VersionId"]

    kept = retention(s3, archive, name, version)

    assert kept["Mode"] == "GOVERNANCE"
    assert 6 * DAY < kept["RetainUntilDate"] - now() <= 7 * DAY
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=archive, Key=name, VersionId=version)


def test_an_object_uploaded_in_parts_is_locked_by_the_bucket_s_default(s3, archive) -> None:
    name = key()
    upload = s3.create_multipart_upload(Bucket=archive, Key=name)["UploadId"]
    part = s3.upload_part(Bucket=archive, Key=name, UploadId=upload, PartNumber=1, Body=b"x" * (5 << 20))
    version = s3.complete_multipart_upload(
        Bucket=archive,
        Key=name,
        UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )["VersionId"]

    assert retention(s3, archive, name, version)["Mode"] == "GOVERNANCE"


def test_an_upload_in_parts_keeps_the_lock_that_it_asked_for(s3, archive) -> None:
    name, until = key(), now() + 40 * DAY
    upload = s3.create_multipart_upload(
        Bucket=archive, Key=name, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until
    )["UploadId"]
    part = s3.upload_part(Bucket=archive, Key=name, UploadId=upload, PartNumber=1, Body=b"x")
    version = s3.complete_multipart_upload(
        Bucket=archive,
        Key=name,
        UploadId=upload,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )["VersionId"]

    kept = retention(s3, archive, name, version)

    assert kept["Mode"] == "COMPLIANCE"
    assert kept["RetainUntilDate"] - now() > 39 * DAY


def test_a_copy_does_not_inherit_the_lock_of_its_source(s3, archive) -> None:
    source, target = key(), key()
    s3.put_object(
        Bucket=archive, Key=source, Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=now() + 90 * DAY
    )

    copied = s3.copy_object(Bucket=archive, Key=target, CopySource={"Bucket": archive, "Key": source})

    assert retention(s3, archive, target, copied["VersionId"])["Mode"] == "GOVERNANCE"


def test_a_lock_can_be_extended_and_not_shortened(s3, archive) -> None:
    name = key()
    version = s3.put_object(
        Bucket=archive, Key=name, Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=now() + 3 * DAY
    )["VersionId"]
    place = {"Bucket": archive, "Key": name, "VersionId": version}

    s3.put_object_retention(**place, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": now() + 30 * DAY})

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object_retention(**place, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": now() + DAY})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(**place, BypassGovernanceRetention=True)


def test_a_lock_that_ends_in_the_past_is_refused(s3, archive) -> None:
    with pytest.raises(ClientError, match="InvalidArgument"):
        s3.put_object(
            Bucket=archive, Key=key(), Body=b"x", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=now() - DAY
        )


def test_a_delete_without_a_version_leaves_the_locked_version_in_place(s3, archive) -> None:
    name = key()
    version = s3.put_object(Bucket=archive, Key=name, Body=b"kept")["VersionId"]

    s3.delete_object(Bucket=archive, Key=name)

    assert s3.get_object(Bucket=archive, Key=name, VersionId=version)["Body"].read() == b"kept"


def test_an_object_is_written_only_when_its_key_is_free(s3, archive) -> None:
    name = key()
    s3.put_object(Bucket=archive, Key=name, Body=b"first", IfNoneMatch="*")

    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=archive, Key=name, Body=b"second", IfNoneMatch="*")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert refused.value.response["Error"]["Code"] == "PreconditionFailed"


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"ChecksumSHA256": base64.b64encode(hashlib.sha256(b"other").digest()).decode()}, id="SHA-256"),
        pytest.param({"ChecksumCRC64NVME": "AAAAAAAAAAA="}, id="CRC-64"),
        pytest.param({"ContentMD5": base64.b64encode(bytes(16)).decode()}, id="MD5"),
    ],
)
def test_a_body_that_is_not_what_its_checksum_says_is_refused(s3, archive, wrong) -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=archive, Key=key(), Body=b"this", **wrong)


def test_a_checksum_is_given_back(s3, archive) -> None:
    name, digest = key(), base64.b64encode(hashlib.sha256(b"this").digest()).decode()
    s3.put_object(Bucket=archive, Key=name, Body=b"this", ChecksumSHA256=digest)

    assert s3.head_object(Bucket=archive, Key=name, ChecksumMode="ENABLED")["ChecksumSHA256"] == digest


def test_a_range_of_an_object_is_read(s3, archive) -> None:
    name = key()
    s3.put_object(Bucket=archive, Key=name, Body=b"0123456789")

    assert s3.get_object(Bucket=archive, Key=name, Range="bytes=2-4")["Body"].read() == b"234"
