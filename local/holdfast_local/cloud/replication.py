"""
Replicate objects to another region's bucket as S3 does: later, with their version ids and their locks.

ministack copies at once, under a version id of the copy's own and without the lock. Here an object is
`PENDING` first; half a second later its version is in the destination's bucket, marked `REPLICA`, and the
source's is `COMPLETED`; or it is `FAILED`, where the rule's role lacks a right, or the destination is no
versioned bucket. What a lock is extended to, and a legal hold, follow in the same way. Delete markers go
as their rule says, removals of versions never.

Differences from AWS that remain: what has failed is not tried again; rules are asked when an object is
written; changes of replicas are not carried back (`ReplicaModifications` matters only where two buckets
replicate to each other); no metrics and events of replication; the replica's key is named and nothing is
encrypted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast_local.cloud import hooks

LAG_SECONDS = 0.5
LOG = logging.getLogger(__name__)
_Record = dict[str, Any]
_KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"


def install() -> None:
    """Take the place of ministack's own replication."""
    service = hooks.module("ministack.services.s3")
    twin = Replication(service)
    hooks.replace(service, "_maybe_replicate", twin.written, expects=("bucket_name", "key", "obj", "data", "tags"))
    _follow(service, "_put_object_retention", twin, ("bucket_name", "key", "body", "headers", "query_params"))
    _follow(service, "_put_object_legal_hold", twin, ("bucket_name", "key", "body", "query_params"))


def _follow(service: Any, name: str, twin: Replication, expects: tuple[str, ...]) -> None:
    """Carry a change of a lock over, after it has been accepted."""

    def changed(*given: Any, **named: Any) -> Any:
        answer = original(*given, **named)
        if answer[0] < 300:
            bucket, key = given[0], given[1]
            version = service._qp(given[-1] or {}, "versionId", "")
            twin.lock_changed(bucket, key, version)
        return answer

    original = hooks.replace(service, name, changed, expects=expects)


@dataclass(frozen=True)
class Write:
    """One version that is to be replicated: *obj* is ministack's record of it, *data* its bytes."""

    bucket: str
    key: str
    obj: _Record
    data: Any
    rule: _Record
    role: str

    @property
    def version(self) -> str:
        """Return its version id; ministack gives it after it has asked for the replication."""
        return str(self.obj.get("version_id") or "")


class Replication:
    """Carries writes and changed locks of ministack's S3 over; *service* is its module."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def written(self, bucket: str, key: str, obj: _Record, data: Any, tags: Mapping[str, str] | None = None) -> None:
        """Mark what is being written as pending, and copy it in a moment; its version id is not known yet."""
        rule, role = self._service._replication_rule_for(bucket, key, tags)
        if rule is not None:
            obj["replication_status"] = "PENDING"
            write = Write(bucket, key, obj, data, rule, role)
            self._later(lambda: self._copy(write))

    def lock_changed(self, bucket: str, key: str, version: str) -> None:
        """Copy the lock of a version, or of the newest one, to its replica in a moment."""
        rule, _ = self._service._replication_rule_for(bucket, key, None)
        found = version or self._newest(bucket, key)
        if rule is not None and found:
            self._later(lambda: self._copy_lock(bucket, key, found, _bucket_of(rule)))

    def _later(self, act: Callable[[], None]) -> None:
        # The server answers requests in this loop one at a time, so that nothing is read half written.
        asyncio.get_running_loop().call_later(LAG_SECONDS, act)

    def _copy(self, write: Write) -> None:
        if not write.version or self._entry(write.bucket, write.key, write.version) is None:
            return  # removed before it was copied
        target = self._service._replication_destination(write.bucket, write.key, write.rule, write.role)
        refused = self._refused(write) if target else "its destination is no versioned bucket"
        if refused:
            LOG.warning("s3://%s/%s is not replicated: %s", write.bucket, write.key, refused)
        else:
            self._write(write, target[0])
        self._mark(write, "FAILED" if refused else "COMPLETED")

    def _write(self, write: Write, destination: str) -> None:
        service, key, version = self._service, write.key, write.version
        if self._entry(destination, key, version) is not None:
            return
        replica = {**write.obj, "replication_status": "REPLICA", "body": write.data}
        replica["preserved_headers"] = {**write.obj["preserved_headers"], **_encryption(write.rule)}
        versions = service._object_versions.setdefault((destination, key), [])
        for each in versions:
            each["is_latest"] = False
        versions.append({**service._version_entry_from_record(replica, version, write.data), "is_latest": True})
        service._buckets[destination]["objects"][key] = replica
        self._copy_lock(write.bucket, key, version, destination)
        if service.S3_PERSIST:
            service._persist_object(destination, key, replica)

    def _copy_lock(self, bucket: str, key: str, version: str, destination: str) -> None:
        for store in (self._service._object_retention, self._service._object_legal_hold):
            if (found := store.get((bucket, key, version))) and self._entry(destination, key, version):
                store[destination, key, version] = found

    def _mark(self, write: Write, status: str) -> None:
        current = self._service._buckets[write.bucket]["objects"].get(write.key) or {}
        for each in (write.obj, self._entry(write.bucket, write.key, write.version), current):
            if each and each.get("version_id") == write.version:
                each["replication_status"] = status

    def _entry(self, bucket: str, key: str, version: str) -> _Record | None:
        versions = self._service._object_versions.get((bucket, key)) or []
        return next((each for each in versions if each["version_id"] == version), None)

    def _newest(self, bucket: str, key: str) -> str:
        found = (self._service._buckets.get(bucket) or {"objects": {}})["objects"].get(key) or {}
        return str(found.get("version_id") or "")

    def _refused(self, write: Write) -> str:
        """Say which right the rule's role lacks, or nothing: S3 acts with the role, and so must this."""
        evaluator = hooks.module("ministack.core.iam_evaluator")
        role, account = write.role, write.role.split(":")[4]
        policies = evaluator._gather_role_policies(role.rpartition("/")[2], account)
        for action, resource, context in self._needed(write, account):
            asked = evaluator.EvalContext(
                principal_arn=role,
                principal_type="AssumedRole",
                principal_account=account,
                action=action,
                resource_arn=resource,
                region=hooks.module("ministack.core.responses").get_region(),
                service_context=context,
            )
            if evaluator.evaluate(asked, policies).decision != "Allow":
                return f"{role} may not {action} on {resource}"
        return ""

    def _needed(self, write: Write, account: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        key, source, destination = write.key, f"arn:aws:s3:::{write.bucket}", f"arn:aws:s3:::{_bucket_of(write.rule)}"
        for action in ("s3:GetReplicationConfiguration", "s3:ListBucket"):
            yield action, source, {}
        reading = ("ObjectVersionForReplication", "ObjectVersionAcl", "ObjectVersionTagging")
        for name in (*reading, "ObjectRetention", "ObjectLegalHold"):
            yield f"s3:Get{name}", f"{source}/{key}", {}
        for action in ("s3:ReplicateObject", "s3:ReplicateTags"):
            yield action, f"{destination}/{key}", {}
        home = self._service._bucket_default_sse_headers(write.bucket).get(_KEY_ID)
        for action, named in (("kms:Decrypt", home), ("kms:Encrypt", _encryption(write.rule).get(_KEY_ID))):
            if named:
                arn, aliases, region = _key(named, account)
                yield action, arn, {"kms:viaservice": f"s3.{region}.amazonaws.com", "kms:resourcealiases": aliases}


def _bucket_of(rule: _Record) -> str:
    return str(rule["Destination"]["Bucket"]).rpartition(":::")[2]


def _encryption(rule: _Record) -> dict[str, str]:
    named = (rule["Destination"].get("EncryptionConfiguration") or {}).get("ReplicaKmsKeyID")
    return {_KEY_ID: named} if named else {}


def _key(name: str, account: str) -> tuple[str, list[str], str]:
    """Return ARN, aliases and region of the key that *name*, an ARN of a key or an alias, means."""
    responses, kms = hooks.module("ministack.core.responses"), hooks.module("ministack.services.kms")
    region = name.split(":")[3]
    with responses.request_scope(account, region):
        found = kms._resolve_key(name)
        if found is None:
            return name, [], region
        aliases = [arn.split(":", 5)[5] for arn, key in kms._aliases.items() if key == found["KeyId"]]
    return str(found["Arn"]), aliases, region
