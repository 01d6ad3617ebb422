"""The buckets and the table of a region: encrypted with our key, closed, retained; the archive's versions locked."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from holdfast_infra.waivers import waive

SCRATCH_DAYS = 14
ACCESS_LOG_DAYS = 400


def locked_bucket(
    scope: Construct, name: str, *, key: kms.IKey, logs: s3.IBucket, days: int, bucket_name: str | None = None
) -> s3.Bucket:
    """Add a versioned bucket whose objects are locked for *days* unless their writer says otherwise."""
    return s3.Bucket(
        scope,
        name,
        bucket_name=bucket_name,
        versioned=True,
        object_lock_enabled=True,
        object_lock_default_retention=s3.ObjectLockRetention.governance(Duration.days(days)),
        lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7))],
        server_access_logs_bucket=logs,
        server_access_logs_prefix=f"{name.lower()}/",
        **_private(key),
    )


def access_logs_bucket(scope: Construct) -> s3.Bucket:
    """Add the bucket of who read and wrote what. S3 delivers such logs neither to a locked bucket nor with our key."""
    bucket = s3.Bucket(
        scope,
        "AccessLogs",
        encryption=s3.BucketEncryption.S3_MANAGED,
        lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(ACCESS_LOG_DAYS))],
        enforce_ssl=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        removal_policy=RemovalPolicy.RETAIN,
    )
    waive(bucket, {"AwsSolutions-S1": "It is where access logs go; its own would never end."})
    return bucket


def scratch_bucket(scope: Construct, *, key: kms.IKey) -> s3.Bucket:
    """Add the bucket of plans and progress."""
    bucket = s3.Bucket(
        scope,
        "Scratch",
        lifecycle_rules=[
            s3.LifecycleRule(
                expiration=Duration.days(SCRATCH_DAYS), abort_incomplete_multipart_upload_after=Duration.days(7)
            )
        ],
        **_private(key),
    )
    waive(bucket, {"AwsSolutions-S1": "Holds plans and progress of runs for two weeks, no rows and no archive."})
    return bucket


def catalogue_table(scope: Construct, *, key: kms.IKey) -> dynamodb.TableV2:
    """Add the table of recovery points and runs."""
    recovery = dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True)
    return dynamodb.TableV2(
        scope,
        "Catalogue",
        partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
        billing=dynamodb.Billing.on_demand(),
        encryption=dynamodb.TableEncryptionV2.customer_managed_key(key),
        time_to_live_attribute="ttl",
        point_in_time_recovery_specification=recovery,
        deletion_protection=True,
        removal_policy=RemovalPolicy.RETAIN,
    )


def _private(key: kms.IKey) -> dict[str, Any]:
    """Return what all buckets have in common: encrypted with our key, over TLS only, never public, retained."""
    return {
        "encryption": s3.BucketEncryption.KMS,
        "encryption_key": key,
        "bucket_key_enabled": True,
        "enforce_ssl": True,
        "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
        "removal_policy": RemovalPolicy.RETAIN,
    }
