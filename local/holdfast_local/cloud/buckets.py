"""
Carry out the properties of AWS::S3::Bucket that ministack drops without a word.

Encryption, Object Lock, lifecycle, replication, ownership and tags go through S3's own request bodies,
so that S3's validation applies. `replication` then carries out what the rules say.

Differences from AWS that remain: lifecycle rules are kept and never act; access logs are not written;
a client of the wrong region is served instead of redirected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.serialize import create_serializer

from holdfast_local.cloud import hooks, resources

# What CloudFormation and S3's API call the same thing.
LIFECYCLE_EXPIRY = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
LIFECYCLE_SAME = (
    "Status",
    "Prefix",
    "NoncurrentVersionExpiration",
    "AbortIncompleteMultipartUpload",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
)
LIFECYCLE_KNOWN = {
    "Id",
    "NoncurrentVersionExpirationInDays",
    "Transitions",
    "NoncurrentVersionTransitions",
    "TagFilters",
    *LIFECYCLE_EXPIRY,
    *LIFECYCLE_SAME,
}


def install() -> None:
    """Carry them out whenever a stack makes or updates a bucket."""
    resources.extend("AWS::S3::Bucket", apply)


def apply(bucket: str, properties: dict[str, Any]) -> None:
    """Put the configuration of *bucket*; Object Lock comes first, since it makes the bucket versioned."""
    service = hooks.module("ministack.services.s3")
    if properties.get("ObjectLockEnabled") in (True, "true"):
        _lock(service, bucket)
    for name, write, put in _configurations(service):
        if name in properties:
            resources.accepted(put(bucket, write(properties[name])), what=f"AWS::S3::Bucket {bucket} {name}")


def _lock(service: Any, bucket: str) -> None:
    if bucket not in service._bucket_object_lock:
        service._bucket_object_lock[bucket] = {"enabled": True, "default_retention": None}
    service._bucket_versioning[bucket] = "Enabled"


def _configurations(service: Any) -> list[tuple[str, Callable[[Any], bytes], Callable[[str, bytes], Any]]]:
    return [
        ("BucketEncryption", encryption, service._put_bucket_encryption),
        ("ObjectLockConfiguration", object_lock, service._put_object_lock_configuration),
        ("LifecycleConfiguration", lifecycle, service._put_bucket_lifecycle),
        ("ReplicationConfiguration", replication, service._put_bucket_replication),
        ("OwnershipControls", ownership, service._put_bucket_ownership_controls),
        ("Tags", tagging, service._put_bucket_tagging),
    ]


def encryption(value: dict[str, Any]) -> bytes:
    """Write BucketEncryption as PutBucketEncryption does."""
    names = {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}
    rules = [_renamed(rule, names) for rule in value["ServerSideEncryptionConfiguration"]]
    return _body("PutBucketEncryption", ServerSideEncryptionConfiguration={"Rules": rules})


def object_lock(value: dict[str, Any]) -> bytes:
    """Write ObjectLockConfiguration as PutObjectLockConfiguration does."""
    return _body("PutObjectLockConfiguration", ObjectLockConfiguration=value)


def replication(value: dict[str, Any]) -> bytes:
    """Write ReplicationConfiguration as PutBucketReplication does."""
    rules = [_renamed(rule, {"Id": "ID"}) for rule in value["Rules"]]
    return _body("PutBucketReplication", ReplicationConfiguration={"Role": value["Role"], "Rules": rules})


def ownership(value: dict[str, Any]) -> bytes:
    """Write OwnershipControls as PutBucketOwnershipControls does."""
    return _body("PutBucketOwnershipControls", OwnershipControls=value)


def tagging(value: list[dict[str, str]]) -> bytes:
    """Write Tags as PutBucketTagging does."""
    return _body("PutBucketTagging", Tagging={"TagSet": value})


def lifecycle(value: dict[str, Any]) -> bytes:
    """Write LifecycleConfiguration as PutBucketLifecycleConfiguration does."""
    rules = [_lifecycle_rule(rule, number) for number, rule in enumerate(value["Rules"])]
    return _body("PutBucketLifecycleConfiguration", LifecycleConfiguration={"Rules": rules})


def _lifecycle_rule(rule: dict[str, Any], number: int) -> dict[str, Any]:
    if unknown := rule.keys() - LIFECYCLE_KNOWN:
        raise ValueError(f"AWS::S3::Bucket LifecycleConfiguration: nobody carries out {sorted(unknown)} here")
    written = {key: rule[key] for key in LIFECYCLE_SAME if key in rule}
    written["ID"] = rule.get("Id", f"rule-{number}")
    if "TagFilters" in rule:
        written["Filter"] = {"And": {"Prefix": written.pop("Prefix", ""), "Tags": rule["TagFilters"]}}
    else:
        written.setdefault("Prefix", "")
    expiry = {name: rule[key] for key, name in LIFECYCLE_EXPIRY.items() if key in rule}
    if expiry:
        written["Expiration"] = expiry
    if "NoncurrentVersionExpirationInDays" in rule:
        written["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    return written | _transitions(rule)


def _transitions(rule: dict[str, Any]) -> dict[str, Any]:
    names = {"TransitionInDays": "Days", "TransitionDate": "Date"}
    older = {"TransitionInDays": "NoncurrentDays"}
    written = {}
    if "Transitions" in rule:
        written["Transitions"] = [_renamed(each, names) for each in rule["Transitions"]]
    if "NoncurrentVersionTransitions" in rule:
        transitions = rule["NoncurrentVersionTransitions"]
        written["NoncurrentVersionTransitions"] = [_renamed(each, older) for each in transitions]
    return written


def _renamed(value: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(key, key): item for key, item in value.items()}


@functools.cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("s3")


def _body(operation: str, **parameters: Any) -> bytes:
    serializer = create_serializer("rest-xml", include_validation=False)
    request = serializer.serialize_to_request({"Bucket": "b", **parameters}, _model().operation_model(operation))
    body = request["body"]
    return body if isinstance(body, bytes) else body.encode()
