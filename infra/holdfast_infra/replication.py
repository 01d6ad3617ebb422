"""The copying of every version in the archive to the second region, by S3 itself, and the role that it takes."""

from __future__ import annotations

from typing import cast

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from holdfast_infra.access import allow, by_alias, keys_of, via_services
from holdfast_infra.names import Names
from holdfast_infra.waivers import waive_wildcards

MINUTES = 15
"""The one value that S3 knows for the time within which it promises to replicate."""

_ON = "Enabled"
_WILDCARDS = {
    r".*Archive[A-F0-9]+.*/\*": "Every object of the archive is replicated.",
    r"arn:.*:s3:::.*-replica-.*/\*": "Every object of the archive is replicated.",
    r"arn:.*:kms:.*:key/\*": "The other region's key has no known id here; the condition names it by its alias.",
}


class Replication(Construct):
    """
    One rule for the whole archive.

    S3 keeps version ids, so a manifest pins the same in both regions, and carries locks over, also those that are
    extended later. Delete markers stay where they are set: what is hidden here as damaged may be whole there. The
    removal of a version never replicates: who deletes here has not deleted there.
    """

    def __init__(
        self, scope: Construct, id: str, *, names: Names, archive: s3.Bucket, data_key: kms.IKey, region: str
    ) -> None:
        super().__init__(scope, id)
        self._archive, self._data_key, self._region, self._names = archive, data_key, region, names
        self._replica = f"arn:{Aws.PARTITION}:s3:::{names.replica(region)}"
        role = iam.Role(
            self,
            "Role",
            role_name=names.role(f"{names.system}-s3-replication"),
            assumed_by=iam.ServicePrincipal("s3.amazonaws.com"),
            description="What S3 may do to copy the archive to the second region.",
        )
        # A policy of its own: within the role it would need the bucket, which needs the role.
        policy = iam.Policy(self, "Policy", roles=[role], statements=self._statements())
        waive_wildcards(policy, _WILDCARDS)
        bucket = cast("s3.CfnBucket", archive.node.default_child)
        bucket.replication_configuration = s3.CfnBucket.ReplicationConfigurationProperty(
            role=role.role_arn, rules=[self._rule()]
        )

    def _rule(self) -> s3.CfnBucket.ReplicationRuleProperty:
        given = s3.CfnBucket
        time = given.ReplicationTimeValueProperty(minutes=MINUTES)
        key = Stack.of(self).format_arn(service="kms", region=self._region, resource=self._names.data_key_alias)
        return given.ReplicationRuleProperty(
            id="everything",
            status=_ON,
            priority=1,
            filter=given.ReplicationRuleFilterProperty(prefix=""),
            delete_marker_replication=given.DeleteMarkerReplicationProperty(status="Disabled"),
            source_selection_criteria=given.SourceSelectionCriteriaProperty(
                sse_kms_encrypted_objects=given.SseKmsEncryptedObjectsProperty(status=_ON),
                replica_modifications=given.ReplicaModificationsProperty(status=_ON),
            ),
            destination=given.ReplicationDestinationProperty(
                bucket=self._replica,
                encryption_configuration=given.EncryptionConfigurationProperty(replica_kms_key_id=key),
                replication_time=given.ReplicationTimeProperty(status=_ON, time=time),
                metrics=given.MetricsProperty(status=_ON, event_threshold=time),
            ),
        )

    def _statements(self) -> list[iam.PolicyStatement]:
        stack, archive = Stack.of(self), self._archive
        reading = ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"]
        locks = ["s3:GetObjectLegalHold", "s3:GetObjectRetention"]
        decrypt = allow(["kms:Decrypt"], self._data_key.key_arn)
        decrypt.add_conditions(via_services(stack, "s3"))
        encrypt = allow(["kms:Encrypt", "kms:GenerateDataKey"], keys_of(stack, self._region))
        encrypt.add_conditions(by_alias(self._names.data_key_alias, service="s3", region=self._region))
        return [
            allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], archive.bucket_arn),
            allow([*reading, *locks], archive.arn_for_objects("*")),
            # Without s3:ReplicateDelete: nothing that happens here hides anything there.
            allow(["s3:ReplicateObject", "s3:ReplicateTags"], f"{self._replica}/*"),
            decrypt,
            encrypt,
        ]
