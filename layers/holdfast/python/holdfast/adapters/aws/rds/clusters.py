"""
One Aurora cluster, as a `Provider`.

A copy is a cluster and, once that is there, an instance in it, for a cluster alone answers nobody. A copy of now is a
clone, which shares the source's storage and is made in minutes whatever the size.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.adapters.aws.rds.saying import (
    PREFIX,
    Document,
    is_ours,
    not_ours,
    server_progress,
    snapshot_progress,
    tags_of,
    telling,
)
from holdfast.errors import ProviderMissing, UnexpectedState
from holdfast.ports.providers import Copy, Login, Progress, ProviderSnapshot, Window

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


class AuroraCluster:
    """The cluster *cluster_id*; *client* is one of its region."""

    def __init__(self, client: RDSClient, cluster_id: str, *, now: Callable[[], datetime]) -> None:
        self._client, self._id, self._now = client, cluster_id, now

    def source(self) -> str:
        """Return the cluster's identifier."""
        return str(self._described(self._id)["DBClusterIdentifier"])

    def window(self) -> Window | None:
        """Return the reach of the continuous backups, which Aurora always makes."""
        found = self._described(self._id)
        earliest, latest = found.get("EarliestRestorableTime"), found.get("LatestRestorableTime")
        return Window(earliest, latest) if earliest and latest else None

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the manual and the automated snapshots of the cluster."""
        found: list[ProviderSnapshot] = []
        with telling(f"listing the snapshots of {self._id}"):
            pages = self._client.get_paginator("describe_db_cluster_snapshots")
            for page in pages.paginate(DBClusterIdentifier=self._id):
                found += [_snapshot(each) for each in page["DBClusterSnapshots"]]
        return tuple(found)

    def create_snapshot(self, name: str, *, keep_until: datetime | None = None) -> ProviderSnapshot:  # noqa: ARG002
        """Ask for a manual snapshot; Aurora keeps it until it is deleted."""
        identifier = f"{PREFIX}{name}"
        with suppress(ProviderMissing), telling(f"looking at {identifier}"):
            there = self._client.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=identifier)
            return _snapshot(there["DBClusterSnapshots"][0])
        tags: Any = tags_of(self._id, self._described(self._id).get("TagList", ()))
        with telling(f"taking the snapshot {identifier}"):
            made = self._client.create_db_cluster_snapshot(
                DBClusterSnapshotIdentifier=identifier, DBClusterIdentifier=self._id, Tags=tags
            )
        return _snapshot(made["DBClusterSnapshot"])

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a manual snapshot."""
        try:
            with telling(f"deleting the snapshot {snapshot_id}"):
                self._client.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=snapshot_id)
        except ProviderMissing:
            return False
        return True

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,  # noqa: ARG002  # Aurora removes nothing by itself: the sweeper does
    ) -> Copy:
        """Ask for a clone of now, or for a cluster of *at* or of a snapshot."""
        identifier = f"{PREFIX}{name}"
        with suppress(ProviderMissing):
            return self._copy(self._described(identifier))
        settings = self._carried()
        with telling(f"restoring {identifier}"):
            if snapshot_id is not None:
                made = self._client.restore_db_cluster_from_snapshot(
                    DBClusterIdentifier=identifier, SnapshotIdentifier=snapshot_id, **settings
                )["DBCluster"]
            else:
                clone = {"RestoreType": "copy-on-write", "UseLatestRestorableTime": True}
                moment: Any = clone if at is None else {"RestoreType": "full-copy", "RestoreToTime": at}
                settings.pop("Engine")
                made = self._client.restore_db_cluster_to_point_in_time(
                    DBClusterIdentifier=identifier, SourceDBClusterIdentifier=self._id, **moment, **settings
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
        tags: Any = tags_of(self._id, ())
        with telling(f"giving {identifier} an instance"):
            self._client.create_db_instance(
                DBInstanceIdentifier=f"{identifier}-1",
                DBClusterIdentifier=identifier,
                DBInstanceClass=self._class_of_writer(),
                Engine=str(cluster["Engine"]),
                PubliclyAccessible=False,
                Tags=tags,
            )
        return Progress.CREATING

    def _class_of_writer(self) -> str:
        members = self._described(self._id)["DBClusterMembers"]
        writer = next((each for each in members if each.get("IsClusterWriter")), None)
        if writer is None:
            raise ProviderMissing(f"The cluster {self._id} has no writer whose class a copy could have.")
        with telling(f"looking at {writer['DBInstanceIdentifier']}"):
            found = self._client.describe_db_instances(DBInstanceIdentifier=writer["DBInstanceIdentifier"])
        return str(found["DBInstances"][0]["DBInstanceClass"])

    def _members(self, cluster_id: str) -> list[Any]:
        found: list[Any] = []
        with telling(f"listing the instances of {cluster_id}"):
            for page in self._client.get_paginator("describe_db_instances").paginate():
                found += [each for each in page["DBInstances"] if each.get("DBClusterIdentifier") == cluster_id]
        return found

    def _carried(self) -> Any:
        """Return the source's settings for a copy: what is not given would be the account's defaults."""
        source = self._described(self._id)
        return {
            "Engine": source["Engine"],
            "DBSubnetGroupName": source["DBSubnetGroup"],
            "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in source["VpcSecurityGroups"]],
            "DBClusterParameterGroupName": source["DBClusterParameterGroup"],
            "EnableIAMDatabaseAuthentication": source.get("IAMDatabaseAuthenticationEnabled", False),
            "DeletionProtection": False,
            "Tags": tags_of(self._id, source.get("TagList", ())),
        }

    def _described(self, identifier: str) -> Document:
        with telling(f"looking at {identifier}"):
            found = self._client.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
        return found[0]


def _snapshot(found: Any) -> ProviderSnapshot:
    identifier = str(found["DBClusterSnapshotIdentifier"])
    return ProviderSnapshot(
        id=identifier,
        name=identifier.removeprefix(PREFIX),
        progress=snapshot_progress(found["Status"]),
        source=str(found["DBClusterIdentifier"]),
        created_at=found.get("SnapshotCreateTime") or found.get("ClusterCreateTime"),
        taken_at=found.get("SnapshotCreateTime"),
        encrypted=bool(found.get("StorageEncrypted")),
        manual=found.get("SnapshotType") == "manual",
    )
