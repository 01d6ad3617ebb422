"""The storage stack: what must outlive everything else. Nothing here is ever removed with the stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from holdfast.configuration import Configuration
from holdfast_infra import keys
from holdfast_infra.buckets import access_logs_bucket, catalogue_table, locked_bucket, scratch_bucket
from holdfast_infra.names import Names
from holdfast_infra.replication import Replication
from holdfast_infra.waivers import waive

AUDIT_LOCK_DAYS = 365


@dataclass(frozen=True)
class Storage:
    """What the workflows of a region work on; keys as ARNs."""

    archive: s3.IBucket
    scratch: s3.IBucket
    catalogue: dynamodb.ITableV2
    data_key: str
    signing_key: str
    digest_key: str

    def outputs(self) -> Mapping[str, str]:
        """Return what the command looks up."""
        return {
            "ArchiveBucket": self.archive.bucket_name,
            "ScratchBucket": self.scratch.bucket_name,
            "CatalogueTable": self.catalogue.table_name,
            "DataKey": self.data_key,
            "SigningKey": self.signing_key,
            "DigestKey": self.digest_key,
        }


@dataclass(frozen=True)
class Keys:
    """The three keys: of data at rest, of signatures, of content digests."""

    data: kms.Key
    signing: kms.Key
    digest: kms.Key


class StorageStack(Stack):
    """Keys, buckets and the catalogue: retained, protected against termination, with locks that only time opens."""

    def __init__(self, scope: Construct, id: str, *, configuration: Configuration, **rest: Any) -> None:
        super().__init__(scope, id, termination_protection=True, **rest)
        self._names = Names.of(configuration)
        self.keys = Keys(
            keys.data_key(self, names=self._names),
            keys.signing_key(self, names=self._names, configuration=configuration),
            keys.digest_key(self, names=self._names, configuration=configuration),
        )
        logs = access_logs_bucket(self)
        lock_days = configuration.archive.lock_days
        self.archive = locked_bucket(self, "Archive", key=self.keys.data, logs=logs, days=lock_days)
        self.audit = locked_bucket(self, "Audit", key=self.keys.data, logs=logs, days=AUDIT_LOCK_DAYS)
        self.storage = Storage(
            archive=self.archive,
            scratch=scratch_bucket(self, key=self.keys.data),
            catalogue=catalogue_table(self, key=self.keys.data),
            data_key=self.keys.data.key_arn,
            signing_key=self.keys.signing.key_arn,
            digest_key=self.keys.digest.key_arn,
        )
        if second := configuration.holdfast.second_region:
            Replication(
                self, "Replication", names=self._names, archive=self.archive, data_key=self.keys.data, region=second
            )
            self._tell_keys(second)
        for name, value in {**self.storage.outputs(), "AuditBucket": self.audit.bucket_name}.items():
            CfnOutput(self, f"{name}Output", key=name, value=value)

    def _tell_keys(self, region: str) -> None:
        """
        Tell the second region which keys it is to have replicas of.

        CloudFormation passes nothing from one region to another, and a key's id is known only when it exists. A
        secret is copied to other regions by AWS itself, and a template there reads it; its content is no secret.
        """
        secret = secretsmanager.CfnSecret(
            self,
            "KeysForTheSecondRegion",
            name=self._names.keys_for_the_second_region,
            description="ARNs of the signing and digest keys, for the template of the second region. No secret.",
            secret_string=self.to_json_string(
                {"signing": self.keys.signing.key_arn, "digest": self.keys.digest.key_arn}
            ),
            replica_regions=[secretsmanager.CfnSecret.ReplicaRegionProperty(region=region)],
        )
        secret.apply_removal_policy(RemovalPolicy.RETAIN)
        waive(secret, {"AwsSolutions-SMG4": "It holds two keys' ARNs, which never change, and no secret to rotate."})
