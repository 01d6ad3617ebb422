"""
The second region: a copy of the archive with a key of its own, and what restoring from it takes.

Two stacks, since each region waits for the other: the replica must exist before the first region's archive names it,
and the first region's keys before they have replicas here.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from constructs import Construct

from holdfast.configuration import Configuration
from holdfast_infra import keys
from holdfast_infra.buckets import access_logs_bucket, catalogue_table, locked_bucket, scratch_bucket
from holdfast_infra.names import Names
from holdfast_infra.storage import Storage


class ReplicaStack(Stack):
    """The archive's replica, versioned and locked like the archive, and the key that encrypts what lies here."""

    def __init__(self, scope: Construct, id: str, *, configuration: Configuration, region: str, **rest: Any) -> None:
        super().__init__(scope, id, termination_protection=True, **rest)
        names = Names.of(configuration, second=True)
        self.data_key = keys.data_key(self, names=names)
        self.replica = locked_bucket(
            self,
            "Archive",
            key=self.data_key,
            logs=access_logs_bucket(self),
            days=configuration.archive.lock_days,
            bucket_name=names.replica(region),
        )
        for name, value in {"ReplicaBucket": self.replica.bucket_name, "DataKey": self.data_key.key_arn}.items():
            CfnOutput(self, f"{name}Output", key=name, value=value)


class SecondStorageStack(Stack):
    """
    A catalogue and a scratch bucket of this region's own, and replicas of the keys that seal and digest.

    It has the name and the outputs of the first region's storage stack, so that the command finds either alike.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        configuration: Configuration,
        region: str,
        place: ReplicaStack,
        **rest: Any,
    ) -> None:
        super().__init__(scope, id, termination_protection=True, **rest)
        names = Names.of(configuration, second=True)
        self._configuration, self._names = configuration, names
        signing = self._replica_key("SigningKey", "signing", keys.SIGNING_WORDS, keys.SIGNING)
        digest = self._replica_key("DigestKey", "digest", keys.DIGEST_WORDS, keys.DIGESTING)
        self.storage = Storage(
            archive=place.replica,
            scratch=scratch_bucket(self, key=place.data_key),
            catalogue=catalogue_table(self, key=place.data_key),
            data_key=place.data_key.key_arn,
            signing_key=signing.attr_arn,
            digest_key=digest.attr_arn,
        )
        # What belongs to the other stack is told by its name, or there: an output may not repeat an import.
        told = {**self.storage.outputs(), "ArchiveBucket": names.replica(region)}
        for name in sorted(told.keys() - {"DataKey"}):
            CfnOutput(self, f"{name}Output", key=name, value=told[name])

    def _replica_key(self, id: str, name: str, words: str, reserved: keys.Reserved) -> kms.CfnReplicaKey:
        secret = self._names.keys_for_the_second_region
        key = keys.replica_key(
            self,
            id,
            primary=f"{{{{resolve:secretsmanager:{secret}:SecretString:{name}}}}}",
            words=words,
            reserved=reserved,
            names=self._names,
            configuration=self._configuration,
        )
        alias = kms.CfnAlias(
            self, f"{id}Alias", alias_name=f"alias/{self._names.system}/{name}", target_key_id=key.attr_key_id
        )
        alias.apply_removal_policy(RemovalPolicy.RETAIN)
        return key
