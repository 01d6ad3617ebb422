"""What each kind of access means in AWS: which actions, on which resources. No action has a wildcard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import ArnFormat, Aws, Stack
from aws_cdk import aws_iam as iam

from holdfast_infra.inventory import Access, FunctionPlan
from holdfast_infra.names import Names

_COLON = ArnFormat.COLON_RESOURCE_NAME
_READ_ROWS = ["dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:Query"]
_WRITE_ROWS = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
_WRITE_OBJECT = ["s3:AbortMultipartUpload", "s3:PutObject"]
# A put that names its own retention needs the permission for it; nobody gets the one to bypass a lock.
_WRITE_LOCKED = [*_WRITE_OBJECT, "s3:PutObjectRetention"]
RDS_PREFIX = "holdfast-"
"""What everything that we make in RDS begins with."""
_DESCRIBE_RDS = [
    "rds:DescribeAccountAttributes",
    "rds:DescribeDBClusters",
    "rds:DescribeDBClusterSnapshots",
    "rds:DescribeDBInstanceAutomatedBackups",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSnapshots",
    "rds:ListTagsForResource",
]
_READ_OBJECT = ["s3:GetObject", "s3:GetObjectRetention", "s3:GetObjectVersion"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """The ARNs that access is given to, and the secrets of one network."""

    archive: str
    replica: str = ""
    replica_region: str = ""
    """The archive's copy in the second region and that region; "" where there is none."""
    scratch: str
    catalogue: str
    data_key: str
    signing_key: str
    digest_key: str
    source_secrets: tuple[str, ...] = ()
    target_secrets: tuple[str, ...] = ()
    provider_keys: tuple[str, ...] = ()
    copied_secrets: tuple[str, ...] = ()
    copy_secrets: str = ""
    instances: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()


class AccessRules:
    """Turn kinds of access into policy statements for the functions of one network."""

    def __init__(self, stack: Stack, *, names: Names, resources: Resources, network: str | None) -> None:
        self._stack, self._names, self._resources, self._network = stack, names, resources, network

    def statements(self, plan: FunctionPlan) -> list[iam.PolicyStatement]:
        """Return the statements for what *plan* may do, in a fixed order."""
        return [
            statement
            for kind, rule in self._rules(plan.scratch).items()
            if kind in plan.access
            for statement in rule()
            if statement.resources
        ] + self._data_key(plan.access)

    def _rules(self, scratch: str) -> Mapping[Access, Callable[[], list[iam.PolicyStatement]]]:
        found = self._resources
        return {
            Access.SOURCE_SECRETS: lambda: self._secrets(found.source_secrets),
            Access.ALL_SECRETS: lambda: self._secrets((*found.source_secrets, *found.target_secrets)),
            Access.PROVIDER_KEYS: lambda: self._secrets(found.provider_keys),
            Access.SEE_PROVIDERS: lambda: see_rds() if found.instances or found.clusters else [],
            Access.TAKE_SNAPSHOTS: self._take_snapshots,
            Access.DELETE_SNAPSHOTS: self._delete_snapshots,
            Access.COPIED_SECRETS: lambda: self._secrets(found.copied_secrets),
            Access.MAKE_COPIES: self._make_copies,
            Access.REMOVE_COPIES: self._remove_copies,
            # A list is judged against all secrets, whatever its filter.
            Access.SEE_COPY_SECRETS: lambda: [allow(["secretsmanager:ListSecrets"], "*")],
            Access.READ_CATALOGUE: lambda: [allow(_READ_ROWS, found.catalogue)],
            Access.WRITE_CATALOGUE: lambda: [allow(_READ_ROWS, found.catalogue), allow(_WRITE_ROWS, found.catalogue)],
            Access.READ_ARCHIVE: lambda: self._read(found.archive),
            Access.LIST_VERSIONS: lambda: [allow(["s3:ListBucketVersions"], found.archive)],
            Access.LIST_REPLICA: lambda: [allow(["s3:ListBucketVersions"], found.replica)] if found.replica else [],
            Access.READ_REPLICA: lambda: self._replica(self._read(found.replica)),
            Access.WRITE_CHUNKS: lambda: [allow(_WRITE_LOCKED, f"{found.archive}/*/chunks/*")],
            # A marker only: without s3:DeleteObjectVersion nothing is ever removed.
            Access.WITHDRAW_CHUNKS: lambda: [allow(["s3:DeleteObject"], f"{found.archive}/*/chunks/*")],
            # A marker hides what was digested with another key, so that a new verification takes its place.
            Access.WITHDRAW_VERIFICATIONS: lambda: [
                allow(["s3:DeleteObject"], f"{found.archive}/*/points/*/verification.json")
            ],
            Access.REMOVE_CHUNKS: lambda: self._remove(found.archive, "chunks/*"),
            Access.REMOVE_REPLICA_CHUNKS: lambda: self._remove_with_locks(found.replica, "chunks/*"),
            # Whoever removes points reads no chunk.
            Access.REMOVE_POINTS: lambda: self._remove_with_locks(found.archive, "points/*"),
            Access.REMOVE_REPLICA_POINTS: lambda: self._remove_with_locks(found.replica, "points/*"),
            Access.WRITE_DELETIONS: lambda: [
                allow([*_WRITE_LOCKED, *_READ_OBJECT], f"{found.archive}/*/deletions/*"),
                allow(["s3:ListBucket"], found.archive),
            ],
            Access.WRITE_PROTECTIONS: lambda: [allow(_WRITE_LOCKED, f"{found.archive}/*/protections/*")],
            Access.HOLD: lambda: [allow(["s3:PutObjectLegalHold"], *_objects(found.archive))],
            Access.HOLD_REPLICA: lambda: [allow(["s3:PutObjectLegalHold"], *_objects(found.replica))],
            Access.WRITE_RECEIPTS: lambda: [allow(_WRITE_OBJECT, f"{found.archive}/*/collections/*")],
            Access.WRITE_POINTS: lambda: [allow(_WRITE_LOCKED, f"{found.archive}/*/points/*")],
            Access.WRITE_SCRATCH: lambda: self._scratch(f"{found.scratch}/{scratch}/*"),
            Access.SIGN: lambda: [allow(["kms:Sign"], found.signing_key)],
            Access.READ_PUBLIC_KEY: lambda: [allow(["kms:GetPublicKey"], found.signing_key)],
            Access.DERIVE_DIGEST_KEYS: lambda: [allow(["kms:GenerateMac"], found.digest_key)],
            Access.ANSWER_TASKS: self._answer_tasks,
            Access.SEE_BACKUPS: lambda: [
                # Collections, prunings and legal holds take the same lock as a backup.
                allow(["states:DescribeExecution"], *map(self._executions, ("backup-*", "collect", "prune", "protect")))
            ],
            Access.SEE_CAPTURES: lambda: [allow(["states:DescribeExecution"], self._executions("capture"))],
            Access.SEE_RESTORES: lambda: [allow(["states:DescribeExecution"], self._executions("restore-*"))],
        }

    def _read(self, bucket: str) -> list[iam.PolicyStatement]:
        # Without the right to list, a missing object answers "access denied" in place of "not found".
        return [allow(_READ_OBJECT, f"{bucket}/*"), allow(["s3:ListBucket"], bucket)]

    def _remove(self, bucket: str, keys: str) -> list[iam.PolicyStatement]:
        # Only what no lock protects: nobody may bypass one. A batch wants the right for markers too.
        versions = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObjectLegalHold"]
        return [allow(versions, f"{bucket}/*/{keys}"), allow(["s3:ListBucketVersions"], bucket)]

    def _remove_with_locks(self, bucket: str, keys: str) -> list[iam.PolicyStatement]:
        """Looking at a version's lock takes the right to read it; nothing of this without a bucket."""
        if not bucket:
            return []
        return [
            *self._remove(bucket, keys),
            allow(["s3:GetObjectRetention", "s3:GetObjectVersion"], f"{bucket}/*/{keys}"),
        ]

    def _scratch(self, folder: str) -> list[iam.PolicyStatement]:
        # Sealing signs what the backup's results say, so that no other workflow may write those.
        return [allow([*_READ_OBJECT, *_WRITE_OBJECT], folder), allow(["s3:ListBucket"], self._resources.scratch)]

    def _secrets(self, names: Iterable[str]) -> list[iam.PolicyStatement]:
        secrets = [self._secret(name) for name in dict.fromkeys(names)]
        return [allow(["secretsmanager:GetSecretValue"], *secrets), *self._secrets_key(secrets)]

    def _secrets_key(self, secrets: list[str]) -> list[iam.PolicyStatement]:
        """Whatever key a secret is encrypted with: only through Secrets Manager, only for these secrets."""
        if not secrets:
            return []
        keys = self._stack.format_arn(service="kms", account="*", resource="key", resource_name="*")
        context = {"StringLike": {"kms:EncryptionContext:SecretARN": secrets}}
        key = allow(["kms:Decrypt"], keys)
        key.add_conditions({**via_services(self._stack, "secretsmanager"), **context})
        return [key]

    def _secret(self, name: str) -> str:
        if name.startswith("arn:"):
            return name
        # Secrets Manager adds a hyphen and six characters to the name.
        return self._stack.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{name}-??????",
            arn_format=_COLON,
        )

    def _take_snapshots(self) -> list[iam.PolicyStatement]:
        """Of the configured databases only, and only into snapshots that bear our prefix."""
        found, statements = self._resources, []
        for action, kind, ids in (
            ("CreateDBSnapshot", "db", found.instances),
            ("CreateDBClusterSnapshot", "cluster", found.clusters),
        ):
            snapshots = self._rds(f"{'cluster-' if kind == 'cluster' else ''}snapshot", f"{RDS_PREFIX}*")
            if ids:
                sources = [self._rds(kind, each) for each in ids]
                statements.append(allow([f"rds:{action}", "rds:AddTagsToResource"], *sources, snapshots))
        return statements + self._copy_snapshots()

    def _copy_snapshots(self) -> list[iam.PolicyStatement]:
        """Automated ones too, whose names are RDS's, into the second region; with the keys of both, by RDS itself."""
        found, region = self._resources, self._resources.replica_region
        statements = []
        for action, kind, ids in (
            ("CopyDBSnapshot", "snapshot", found.instances),
            ("CopyDBClusterSnapshot", "cluster-snapshot", found.clusters),
        ):
            if ids and region:
                there = self._rds(kind, f"{RDS_PREFIX}*", region=region)
                statements.append(allow([f"rds:{action}", "rds:AddTagsToResource"], self._rds(kind, "*"), there))
        return statements + [one for place in ("", region) if statements for one in self._key_of_copies(place)]

    def _make_copies(self) -> list[iam.PolicyStatement]:
        """Into instances and clusters that bear our prefix, with the source's own network and groups; and logins."""
        found = self._resources
        logins = [
            "secretsmanager:CreateSecret",
            "secretsmanager:DeleteSecret",
            "secretsmanager:PutSecretValue",
            "secretsmanager:TagResource",
        ]
        statements = [allow(logins, self._secret(f"{found.copy_secrets}*"))]
        groups = [self._rds(kind, "*") for kind in ("subgrp", "pg", "og", "cluster-pg")]
        for kind, ids, actions in (
            ("db", found.instances, ["rds:RestoreDBInstanceFromDBSnapshot", "rds:RestoreDBInstanceToPointInTime"]),
            ("cluster", found.clusters, ["rds:CreateDBInstance", "rds:RestoreDBClusterToPointInTime"]),
        ):
            if ids:
                sources = [self._rds(kind, each) for each in ids]
                made = [self._rds(each, f"{RDS_PREFIX}*") for each in ("db", "cluster")]
                snapshots = [self._rds("snapshot", "*")] if kind == "db" else []
                statements.append(allow([*actions, "rds:AddTagsToResource"], *sources, *made, *snapshots, *groups))
        return statements + (self._key_of_copies() if found.instances or found.clusters else [])

    def _key_of_copies(self, region: str = "") -> list[iam.PolicyStatement]:
        """Whatever key a database is encrypted with, RDS itself uses it for the copy too; look at it may we."""
        place = region or self._stack.region
        keys = self._stack.format_arn(service="kms", region=place, resource="key", resource_name="*")
        through = {"StringEquals": {"kms:ViaService": f"rds.{place}.{Aws.URL_SUFFIX}"}}
        grant = allow(["kms:CreateGrant"], keys)
        grant.add_conditions({**through, "Bool": {"kms:GrantIsForAWSResource": "true"}})
        looking = allow(["kms:DescribeKey"], keys)
        looking.add_conditions(through)
        return [grant, looking]

    def _remove_copies(self) -> list[iam.PolicyStatement]:
        found = self._resources
        made = [self._rds(each, f"{RDS_PREFIX}*") for each in ("db", "cluster")]
        statements = [allow(["secretsmanager:DeleteSecret"], self._secret(f"{found.copy_secrets}*"))]
        if found.instances or found.clusters:
            statements.append(allow(["rds:DeleteDBCluster", "rds:DeleteDBInstance"], *made))
        return statements

    def _delete_snapshots(self) -> list[iam.PolicyStatement]:
        """Snapshots that bear our prefix alone, and their copies in the second region."""
        found, statements = self._resources, []
        for action, kind, ids in (
            ("DeleteDBSnapshot", "snapshot", found.instances),
            ("DeleteDBClusterSnapshot", "cluster-snapshot", found.clusters),
        ):
            regions = dict.fromkeys(["", found.replica_region])
            if ids:
                snapshots = [self._rds(kind, f"{RDS_PREFIX}*", region=region) for region in regions]
                statements.append(allow([f"rds:{action}"], *snapshots))
        return statements

    def _rds(self, resource: str, name: str, *, region: str = "") -> str:
        region = region or self._stack.region
        return self._stack.format_arn(
            service="rds", region=region, resource=resource, resource_name=name, arn_format=_COLON
        )

    def _answer_tasks(self) -> list[iam.PolicyStatement]:
        # A task token is no resource: AWS judges these actions against the machine, the local cloud against "*".
        return [allow(["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"], "*")]

    def _executions(self, workflow: str) -> str:
        # The lock may be held by a run of another network's machine: databases move between networks.
        return self._stack.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{self._names.machine(workflow)}:*",
            arn_format=_COLON,
        )

    def _replica(self, statement: list[iam.PolicyStatement]) -> list[iam.PolicyStatement]:
        """Return *statement* with the right to the second region's data key, or nothing where there is no replica."""
        region = self._resources.replica_region
        if not region:
            return []
        key = allow(["kms:Decrypt"], keys_of(self._stack, region))
        key.add_conditions(by_alias(self._names.data_key_alias, service="s3", region=region))
        return [*statement, key]

    def _data_key(self, access: frozenset[Access]) -> list[iam.PolicyStatement]:
        reads = {Access.READ_ARCHIVE, Access.READ_CATALOGUE}
        writes = {
            Access.WRITE_CATALOGUE,
            Access.WRITE_CHUNKS,
            Access.WRITE_POINTS,
            Access.WRITE_RECEIPTS,
            Access.WRITE_DELETIONS,
            Access.WRITE_PROTECTIONS,
            Access.WRITE_SCRATCH,
        }
        if not access & (reads | writes):
            return []
        actions = ["kms:Decrypt", "kms:DescribeKey"]
        if access & writes:
            actions += ["kms:Encrypt", "kms:GenerateDataKey"]
        conditions = via_services(self._stack, "dynamodb", "s3")
        return [iam.PolicyStatement(actions=actions, resources=[self._resources.data_key], conditions=conditions)]


def _objects(bucket: str) -> list[str]:
    """Return what points are made of in *bucket*; nothing where there is no bucket."""
    return [f"{bucket}/*/{keys}/*" for keys in ("chunks", "points")] if bucket else []


def see_rds() -> list[iam.PolicyStatement]:
    """Return what it takes to look at instances, clusters and snapshots: lists are judged against all of them."""
    return [allow(_DESCRIBE_RDS, "*")]


def via_services(stack: Stack, *services: str) -> dict[str, dict[str, Sequence[str]]]:
    """Return the condition that a key is used through *services* of this region only, whatever the partition."""
    names = [f"{service}.{stack.region}.{Aws.URL_SUFFIX}" for service in services]
    return {"StringEquals": {"kms:ViaService": names if len(names) > 1 else names[0]}}


def keys_of(stack: Stack, region: str) -> str:
    """Return every key of *region*: to be narrowed by `by_alias`, since a key of another region has no known id."""
    return stack.format_arn(service="kms", region=region, resource="key", resource_name="*")


def by_alias(alias: str, *, service: str, region: str) -> dict[str, Any]:
    """Return the condition that a key is the one of *alias* and is used through *service* of *region* only."""
    return {
        "StringEquals": {"kms:ViaService": f"{service}.{region}.{Aws.URL_SUFFIX}"},
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": alias},
    }


def allow(actions: list[str], *resources: str) -> iam.PolicyStatement:
    """Return a statement that allows *actions* on *resources*."""
    return iam.PolicyStatement(actions=actions, resources=list(resources))
