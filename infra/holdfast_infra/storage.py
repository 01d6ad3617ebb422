"""The storage stack: what must outlive everything else. Nothing here is ever removed with the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from holdfast.configuration import Configuration
from holdfast_infra.inventory import Access, FunctionPlan, with_access
from holdfast_infra.names import Names, networks_in_use
from holdfast_infra.waivers import waive

SCRATCH_DAYS = 14
AUDIT_LOCK_DAYS = 365
ACCESS_LOG_DAYS = 400


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
        self._configuration, self._names = configuration, Names.of(configuration)
        self.keys = Keys(self._data_key(), self._signing_key(), self._digest_key())
        self.access_logs = self._access_logs()
        self.archive = self._locked_bucket("Archive", days=configuration.archive.lock_days)
        self.audit = self._locked_bucket("Audit", days=AUDIT_LOCK_DAYS)
        self.scratch = self._scratch_bucket()
        self.catalogue = self._catalogue()
        self._outputs()

    def _data_key(self) -> kms.Key:
        return kms.Key(
            self,
            "DataKey",
            alias=self._names.data_key_alias,
            description="Encrypts the archive, the catalogue, scratch and audit buckets and alerts.",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _signing_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "SigningKey",
            alias=f"alias/{self._names.system}/signing",
            description="Signs manifests. Only the sealing functions may sign with it; anybody may verify.",
            key_spec=kms.KeySpec.ECC_NIST_P256,
            key_usage=kms.KeyUsage.SIGN_VERIFY,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._reserve(key, "kms:Sign", with_access(Access.SIGN), sid="OnlySealingSigns")
        return key

    def _digest_key(self) -> kms.Key:
        key = kms.Key(
            self,
            "DigestKey",
            alias=f"alias/{self._names.system}/digest",
            description="Derives the secret base of each database's content digests.",
            key_spec=kms.KeySpec.HMAC_256,
            key_usage=kms.KeyUsage.GENERATE_VERIFY_MAC,
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._reserve(key, "kms:GenerateMac", with_access(Access.DERIVE_DIGEST_KEYS), sid="OnlyDigestingDerives")
        return key

    def _reserve(self, key: kms.Key, action: str, plans: tuple[FunctionPlan, ...], *, sid: str) -> None:
        """Deny *action* to everybody but the roles of *plans*, whatever an identity's own policy allows."""
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=[action],
                resources=["*"],
                conditions={"ArnNotEquals": {"aws:PrincipalArn": self._roles(plans)}},
            )
        )

    def _roles(self, plans: tuple[FunctionPlan, ...]) -> list[str]:
        places: tuple[str | None, ...]
        arns = []
        for plan in plans:
            places = (None,) if plan.capability == "verify" else networks_in_use(self._configuration)
            arns += [
                f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:role/"
                + self._names.function(plan.capability, plan.name, place)
                for place in places
            ]
        return arns

    def _locked_bucket(self, name: str, *, days: int) -> s3.Bucket:
        return s3.Bucket(
            self,
            name,
            versioned=True,
            object_lock_enabled=True,
            object_lock_default_retention=s3.ObjectLockRetention.governance(Duration.days(days)),
            lifecycle_rules=[s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(7))],
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"{name.lower()}/",
            **self._private(),
        )

    def _access_logs(self) -> s3.Bucket:
        """Who read and wrote what. S3 delivers such logs neither to a locked bucket nor with our own key."""
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(ACCESS_LOG_DAYS))],
            enforce_ssl=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=RemovalPolicy.RETAIN,
        )
        waive(bucket, {"AwsSolutions-S1": "It is where access logs go; its own would never end."})
        return bucket

    def _scratch_bucket(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Scratch",
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(SCRATCH_DAYS), abort_incomplete_multipart_upload_after=Duration.days(7)
                )
            ],
            **self._private(),
        )
        waive(bucket, {"AwsSolutions-S1": "Holds plans and progress of runs for two weeks, no rows and no archive."})
        return bucket

    def _private(self) -> dict[str, Any]:
        """Return what all buckets have in common: encrypted with our key, over TLS only, never public, retained."""
        return {
            "encryption": s3.BucketEncryption.KMS,
            "encryption_key": self.keys.data,
            "bucket_key_enabled": True,
            "enforce_ssl": True,
            "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
            "removal_policy": RemovalPolicy.RETAIN,
        }

    def _catalogue(self) -> dynamodb.TableV2:
        recovery = dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True)
        return dynamodb.TableV2(
            self,
            "Catalogue",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing=dynamodb.Billing.on_demand(),
            encryption=dynamodb.TableEncryptionV2.customer_managed_key(self.keys.data),
            time_to_live_attribute="ttl",
            point_in_time_recovery_specification=recovery,
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _outputs(self) -> None:
        values = {
            "ArchiveBucket": self.archive.bucket_name,
            "ScratchBucket": self.scratch.bucket_name,
            "AuditBucket": self.audit.bucket_name,
            "CatalogueTable": self.catalogue.table_name,
            "DataKey": self.keys.data.key_arn,
            "SigningKey": self.keys.signing.key_arn,
            "DigestKey": self.keys.digest.key_arn,
        }
        for name, value in values.items():
            CfnOutput(self, f"{name}Output", key=name, value=value)
