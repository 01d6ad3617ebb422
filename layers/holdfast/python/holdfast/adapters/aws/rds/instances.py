"""
One RDS instance, as a `Provider`.

A copy is an instance of its own, with the source's network, groups and class; unlike the source it has a single
zone, no protection against deletion and no backups of its own, for it lives for hours.
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

_CARRIED = (
    "AutoMinorVersionUpgrade",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "Iops",
    "MaxAllocatedStorage",
    "PubliclyAccessible",
    "StorageThroughput",
    "StorageType",
)


class RdsInstance:
    """The instance *instance_id*; *client* is one of its region."""

    def __init__(self, client: RDSClient, instance_id: str, *, now: Callable[[], datetime]) -> None:
        self._client, self._id, self._now = client, instance_id, now

    def source(self) -> str:
        """Return the instance's identifier."""
        return str(self._described(self._id)["DBInstanceIdentifier"])

    def window(self) -> Window | None:
        """Return the reach of the automated backups; nothing when they are switched off."""
        latest = self._described(self._id).get("LatestRestorableTime")
        with telling(f"reading the backups of {self._id}"):
            found = self._client.describe_db_instance_automated_backups(DBInstanceIdentifier=self._id)
        windows = [each["RestoreWindow"] for each in found["DBInstanceAutomatedBackups"] if "RestoreWindow" in each]
        if latest is None or not windows:
            return None
        return Window(min(each["EarliestTime"] for each in windows), latest)

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the manual and the automated snapshots of the instance."""
        found: list[ProviderSnapshot] = []
        with telling(f"listing the snapshots of {self._id}"):
            for page in self._client.get_paginator("describe_db_snapshots").paginate(DBInstanceIdentifier=self._id):
                found += [_snapshot(each) for each in page["DBSnapshots"]]
        return tuple(found)

    def create_snapshot(self, name: str, *, keep_until: datetime | None = None) -> ProviderSnapshot:  # noqa: ARG002
        """Ask for a manual snapshot; RDS keeps it until it is deleted."""
        identifier = f"{PREFIX}{name}"
        if (there := self._snapshot_named(identifier)) is not None:
            return there
        tags: Any = tags_of(self._id, self._described(self._id).get("TagList", ()))
        with telling(f"taking the snapshot {identifier}"):
            made = self._client.create_db_snapshot(
                DBSnapshotIdentifier=identifier, DBInstanceIdentifier=self._id, Tags=tags
            )
        return _snapshot(made["DBSnapshot"])

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a manual snapshot."""
        try:
            with telling(f"deleting the snapshot {snapshot_id}"):
                self._client.delete_db_snapshot(DBSnapshotIdentifier=snapshot_id)
        except ProviderMissing:
            return False
        return True

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,  # noqa: ARG002  # RDS removes nothing by itself: the sweeper does
    ) -> Copy:
        """Ask for an instance of the latest restorable moment, of *at*, or of a snapshot."""
        identifier = f"{PREFIX}{name}"
        with suppress(ProviderMissing):
            return _copy(self._described(identifier))
        settings = self._carried()
        with telling(f"restoring {identifier}"):
            if snapshot_id is not None:
                made = self._client.restore_db_instance_from_db_snapshot(
                    DBInstanceIdentifier=identifier, DBSnapshotIdentifier=snapshot_id, **settings
                )["DBInstance"]
            else:
                moment: Any = {"UseLatestRestorableTime": True} if at is None else {"RestoreTime": at}
                made = self._client.restore_db_instance_to_point_in_time(
                    SourceDBInstanceIdentifier=self._id, TargetDBInstanceIdentifier=identifier, **moment, **settings
                )["DBInstance"]
        return _copy(made)

    def copies(self) -> tuple[Copy, ...]:
        """Return the instances that we made of this one."""
        found: list[Copy] = []
        with telling("listing instances"):
            for page in self._client.get_paginator("describe_db_instances").paginate():
                found += [_copy(each) for each in page["DBInstances"] if is_ours(each, self._id)]
        return tuple(found)

    def login(self, copy_id: str) -> Login:
        """Return the copy's address; its roles and passwords are those of its data."""
        endpoint = self._described(copy_id).get("Endpoint")
        if endpoint is None:
            raise UnexpectedState(f"RDS gave no address for {copy_id}.")
        return Login(host=str(endpoint["Address"]), port=int(endpoint["Port"]))

    def delete_copy(self, copy_id: str) -> bool:
        """Delete an instance that we made, without a last snapshot."""
        try:
            found = self._described(copy_id)
            if not is_ours(found, self._id):
                raise not_ours(copy_id)
            if server_progress(found["DBInstanceStatus"]) is not Progress.DELETING:
                with telling(f"deleting {copy_id}"):
                    self._client.delete_db_instance(
                        DBInstanceIdentifier=copy_id, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
                    )
        except ProviderMissing:
            return False
        return True

    def _carried(self) -> Any:
        """Return the source's settings for a copy: what is not given would be the account's defaults."""
        source = self._described(self._id)
        settings: dict[str, Any] = {key: source[key] for key in _CARRIED if source.get(key) is not None}
        settings |= {
            "DBSubnetGroupName": source["DBSubnetGroup"]["DBSubnetGroupName"],
            "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in source["VpcSecurityGroups"]],
            "DBParameterGroupName": source["DBParameterGroups"][0]["DBParameterGroupName"],
            "OptionGroupName": source["OptionGroupMemberships"][0]["OptionGroupName"],
            "EnableIAMDatabaseAuthentication": source.get("IAMDatabaseAuthenticationEnabled", False),
            "MultiAZ": False,
            "DeletionProtection": False,
            "Tags": tags_of(self._id, source.get("TagList", ())),
        }
        return settings

    def _described(self, identifier: str) -> Document:
        with telling(f"looking at {identifier}"):
            found = self._client.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
        return found[0]

    def _snapshot_named(self, identifier: str) -> ProviderSnapshot | None:
        with suppress(ProviderMissing), telling(f"looking at {identifier}"):
            return _snapshot(self._client.describe_db_snapshots(DBSnapshotIdentifier=identifier)["DBSnapshots"][0])
        return None


def _snapshot(found: Any) -> ProviderSnapshot:
    identifier = str(found["DBSnapshotIdentifier"])
    taken_at = found.get("SnapshotDatabaseTime") or found.get("OriginalSnapshotCreateTime")
    return ProviderSnapshot(
        id=identifier,
        name=identifier.removeprefix(PREFIX),
        progress=snapshot_progress(found["Status"]),
        source=str(found["DBInstanceIdentifier"]),
        created_at=found.get("SnapshotCreateTime") or found.get("InstanceCreateTime"),
        taken_at=taken_at,
        encrypted=bool(found.get("Encrypted")),
        manual=found.get("SnapshotType") == "manual",
        size=found.get("FullSnapshotSizeInBytes"),
    )


def _copy(found: Any) -> Copy:
    identifier = str(found["DBInstanceIdentifier"])
    return Copy(
        id=identifier,
        name=identifier.removeprefix(PREFIX),
        progress=server_progress(found["DBInstanceStatus"]),
        created_at=found.get("InstanceCreateTime"),
    )
