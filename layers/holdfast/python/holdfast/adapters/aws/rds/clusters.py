"""
One Aurora cluster, as a `Provider`.

A copy is a cluster and, once that is there, an instance in it, for a cluster alone answers nobody. A copy of now is a
clone, which shares the source's storage and is made in minutes whatever the size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.adapters.aws.rds import settings
from holdfast.adapters.aws.rds.database import Elsewhere, RdsDatabase
from holdfast.adapters.aws.rds.kinds import OF_CLUSTERS
from holdfast.adapters.aws.rds.saying import (
    PREFIX,
    Document,
    as_json,
    is_ours,
    not_ours,
    server_progress,
    tags_of,
    telling,
)
from holdfast.errors import ProviderMissing, UnexpectedState
from holdfast.model.provider_settings import Setting
from holdfast.ports.providers import Copy, Login, Progress, Window

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

_CARRIED = ("CopyTagsToSnapshot", "NetworkType", "StorageType")
_LASTING = ("BackupRetentionPeriod", "DeletionProtection", "PreferredBackupWindow")
_OF_INSTANCE = (
    "AutoMinorVersionUpgrade",
    "CACertificateIdentifier",
    "DBInstanceClass",
    "PubliclyAccessible",
)
_TOLD = (
    *_CARRIED,
    *_LASTING,
    *("DBClusterParameterGroup", "DBSubnetGroup", "DatabaseName", "Engine", "EngineMode", "EngineVersion"),
    *("IAMDatabaseAuthenticationEnabled", "KmsKeyId", "MasterUsername", "Port", "PreferredMaintenanceWindow"),
    *("ServerlessV2ScalingConfiguration", "StorageEncrypted", "VpcSecurityGroups"),
)


class AuroraCluster(RdsDatabase):
    """The cluster *cluster_id*; *client* is one of its region."""

    def __init__(self, client: RDSClient, cluster_id: str, *, second: Elsewhere | None = None) -> None:
        super().__init__(client, cluster_id, OF_CLUSTERS, second=second)

    def source(self) -> str:
        """Return the cluster's identifier."""
        return str(self._described(self._id)["DBClusterIdentifier"])

    def window(self) -> Window | None:
        """Return the reach of the continuous backups, which Aurora always makes."""
        found = self._described(self._id)
        earliest, latest = found.get("EarliestRestorableTime"), found.get("LatestRestorableTime")
        return Window(earliest, latest) if earliest and latest else None

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,  # noqa: ARG002  # Aurora removes nothing by itself: the sweeper does
        lasting: bool = False,
    ) -> Copy:
        """Ask for a clone of now, or for a cluster of *at* or of a snapshot."""
        identifier = f"{PREFIX}{name}"
        with suppress(ProviderMissing):
            return self._copy(self._described(identifier))
        carried = self._carried(lasting=lasting)
        with telling(f"restoring {identifier}"):
            if snapshot_id is not None:
                made = self._client.restore_db_cluster_from_snapshot(
                    DBClusterIdentifier=identifier, SnapshotIdentifier=snapshot_id, **carried
                )["DBCluster"]
            else:
                clone = {"RestoreType": "copy-on-write", "UseLatestRestorableTime": True}
                moment: Any = clone if at is None else {"RestoreType": "full-copy", "RestoreToTime": at}
                carried.pop("Engine")
                made = self._client.restore_db_cluster_to_point_in_time(
                    DBClusterIdentifier=identifier, SourceDBClusterIdentifier=self._id, **moment, **carried
                )["DBCluster"]
        return self._copy(made)

    def copies(self) -> tuple[Copy, ...]:
        """Return the clusters that we made of this one; one that is ready for its instance is given it."""
        found: list[Copy] = []
        with telling("listing clusters"):
            pages = list(self._client.get_paginator("describe_db_clusters").paginate())
        for page in pages:
            found += [self._copy(each) for each in page["DBClusters"] if is_ours(each, self._id)]
        return tuple(found)

    def login(self, copy_id: str) -> Login:
        """Return the writer's address; roles and passwords are those of the data."""
        found = self._described(copy_id)
        if "Endpoint" not in found:
            raise UnexpectedState(f"Aurora gave no address for {copy_id}.")
        return Login(host=str(found["Endpoint"]), port=int(found["Port"]))

    def delete_copy(self, copy_id: str) -> bool:
        """Delete a cluster that we made, its instances first, without a last snapshot."""
        try:
            found = self._described(copy_id)
            if not is_ours(found, self._id):
                raise not_ours(copy_id)
            for each in self._members(copy_id):
                if server_progress(each["DBInstanceStatus"]) is not Progress.DELETING:
                    with telling(f"deleting {each['DBInstanceIdentifier']}"):
                        self._client.delete_db_instance(DBInstanceIdentifier=each["DBInstanceIdentifier"])
            if server_progress(found["Status"]) is not Progress.DELETING:
                with telling(f"deleting {copy_id}"):
                    self._client.delete_db_cluster(DBClusterIdentifier=copy_id, SkipFinalSnapshot=True)
        except ProviderMissing:
            return False
        return True

    def settings(self) -> tuple[Setting, ...]:
        """Return the cluster's settings that recovery depends on; Aurora replicates no automated backups."""
        return settings.of_cluster(self._described(self._id))

    def apply(self, changes: Sequence[Setting]) -> None:
        """Change the cluster at once."""
        changed = settings.to_set(changes, beside=())
        if changed:
            with telling(f"changing {self._id}"):
                self._client.modify_db_cluster(DBClusterIdentifier=self._id, ApplyImmediately=True, **changed)

    def description(self) -> Mapping[str, Any]:
        """Return the settings of the cluster and of its instances, tags, and the parameters that somebody set."""
        found = self._described(self._id)
        group = str(found["DBClusterParameterGroup"])
        cluster_group = self._parameters("describe_db_cluster_parameters", DBClusterParameterGroupName=group)
        return as_json(
            {
                "provider": "aurora",
                "cluster": self._id,
                "settings": {name: found[name] for name in _TOLD if name in found},
                "tags": {tag["Key"]: tag.get("Value", "") for tag in found.get("TagList", ())},
                "parameters": {group: cluster_group},
                "instances": [
                    {name: each[name] for name in ("DBInstanceIdentifier", *_OF_INSTANCE) if name in each}
                    for each in self._members(self._id)
                ],
            }
        )

    def _copy(self, found: Any) -> Copy:
        identifier = str(found["DBClusterIdentifier"])
        return Copy(
            id=identifier,
            name=identifier.removeprefix(PREFIX),
            progress=self._progress(found),
            created_at=found.get("ClusterCreateTime"),
        )

    def _progress(self, cluster: Any) -> Progress:
        """Return how far a copy is; its instance is asked for here, once the cluster can take it."""
        of_cluster = server_progress(cluster["Status"])
        if of_cluster is not Progress.AVAILABLE:
            return of_cluster
        identifier = str(cluster["DBClusterIdentifier"])
        members = self._members(identifier)
        if members:
            return server_progress(members[0]["DBInstanceStatus"])
        writer = self._writer()
        lasting = not is_ours(cluster, self._id)
        tags: Any = tags_of(self._id, writer.get("TagList", ()), lasting=lasting)
        carried: Any = {name: writer[name] for name in _OF_INSTANCE if writer.get(name) is not None}
        groups = writer.get("DBParameterGroups", ())
        if groups:
            carried["DBParameterGroupName"] = groups[0]["DBParameterGroupName"]
        with telling(f"giving {identifier} an instance"):
            self._client.create_db_instance(
                DBInstanceIdentifier=f"{identifier}-1",
                DBClusterIdentifier=identifier,
                Engine=str(cluster["Engine"]),
                Tags=tags,
                **carried,
            )
        return Progress.CREATING

    def _writer(self) -> Document:
        """Return the source's writing instance, whose class and settings a copy's has."""
        members = self._described(self._id)["DBClusterMembers"]
        writer = next((each for each in members if each.get("IsClusterWriter")), None)
        if writer is None:
            raise ProviderMissing(f"The cluster {self._id} has no writer whose class a copy could have.")
        identifier = str(writer["DBInstanceIdentifier"])
        with telling(f"looking at {identifier}"):
            found: Any = self._client.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
        if not found:
            raise ProviderMissing(f"RDS knows no instance {identifier}.")
        return dict(found[0])

    def _members(self, cluster_id: str) -> list[Any]:
        found: list[Any] = []
        with telling(f"listing the instances of {cluster_id}"):
            for page in self._client.get_paginator("describe_db_instances").paginate():
                found += [each for each in page["DBInstances"] if each.get("DBClusterIdentifier") == cluster_id]
        return found

    def _carried(self, *, lasting: bool) -> Any:
        """Return the source's settings for a copy: what is not given would be the account's defaults."""
        source = self._described(self._id)
        kept = _CARRIED + (_LASTING if lasting else ())
        carried: dict[str, Any] = {key: source[key] for key in kept if source.get(key) is not None}
        if scaling := source.get("ServerlessV2ScalingConfiguration"):
            carried["ServerlessV2ScalingConfiguration"] = dict(scaling)
        if not lasting:
            carried |= {"BackupRetentionPeriod": 1, "DeletionProtection": False}
        return carried | {
            "Engine": source["Engine"],
            "DBSubnetGroupName": source["DBSubnetGroup"],
            "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in source["VpcSecurityGroups"]],
            "DBClusterParameterGroupName": source["DBClusterParameterGroup"],
            "EnableIAMDatabaseAuthentication": source.get("IAMDatabaseAuthenticationEnabled", False),
            "EnableCloudwatchLogsExports": source.get("EnabledCloudwatchLogsExports", []),
            "Tags": tags_of(self._id, source.get("TagList", ()), lasting=lasting),
        }

    def _described(self, identifier: str) -> Document:
        with telling(f"looking at {identifier}"):
            found = self._client.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
        if not found:
            raise ProviderMissing(f"RDS knows no cluster {identifier}.")
        return found[0]
