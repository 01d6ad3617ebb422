"""
One RDS instance, as a `Provider`.

A copy is an instance of its own, with the source's network, groups, class and settings. One that is to live for
hours only has a single zone, no protection against deletion and no backups; a lasting one has the source's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.adapters.aws.rds import settings
from holdfast.adapters.aws.rds.database import Elsewhere, RdsDatabase
from holdfast.adapters.aws.rds.kinds import OF_INSTANCES
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

_CARRIED = (
    "AutoMinorVersionUpgrade",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DedicatedLogVolume",
    "MaxAllocatedStorage",
    "NetworkType",
    "PubliclyAccessible",
    "StorageType",
)
_GP3_STRIPED_GIB = 400
"""RDS takes IOPS and throughput for gp3 volumes of PostgreSQL of this size on only, but tells them for all."""
_LASTING = ("BackupRetentionPeriod", "DeletionProtection", "MultiAZ", "PreferredBackupWindow")
_TOLD = (
    *_CARRIED,
    *_LASTING,
    *(
        "Iops",
        "StorageThroughput",
        "AllocatedStorage",
        "AvailabilityZone",
        "DBName",
        "DBParameterGroups",
        "DBSubnetGroup",
        "Engine",
    ),
    *("EngineVersion", "IAMDatabaseAuthenticationEnabled", "KmsKeyId", "MasterUsername", "MonitoringInterval"),
    *("OptionGroupMemberships", "PreferredMaintenanceWindow", "StorageEncrypted", "VpcSecurityGroups"),
)


class RdsInstance(RdsDatabase):
    """The instance *instance_id*; *client* is one of its region."""

    def __init__(self, client: RDSClient, instance_id: str, *, second: Elsewhere | None = None) -> None:
        super().__init__(client, instance_id, OF_INSTANCES, second=second)

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

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,  # noqa: ARG002  # RDS removes nothing by itself: the sweeper does
        lasting: bool = False,
    ) -> Copy:
        """Ask for an instance of the latest restorable moment, of *at*, or of a snapshot."""
        identifier = f"{PREFIX}{name}"
        with suppress(ProviderMissing):
            return _copy(self._described(identifier))
        carried = self._carried(lasting=lasting)
        with telling(f"restoring {identifier}"):
            if snapshot_id is not None:
                made = self._client.restore_db_instance_from_db_snapshot(
                    DBInstanceIdentifier=identifier, DBSnapshotIdentifier=snapshot_id, **carried
                )["DBInstance"]
            else:
                moment: Any = {"UseLatestRestorableTime": True} if at is None else {"RestoreTime": at}
                made = self._client.restore_db_instance_to_point_in_time(
                    SourceDBInstanceIdentifier=self._id, TargetDBInstanceIdentifier=identifier, **moment, **carried
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

    def settings(self) -> tuple[Setting, ...]:
        """Return the instance's settings that recovery depends on."""
        return settings.of_instance(self._described(self._id))

    def apply(self, changes: Sequence[Setting]) -> None:
        """Change the instance at once, and have its backups replicated to the second region where that is asked."""
        changed = settings.to_set(changes)
        if changed:
            with telling(f"changing {self._id}"):
                self._client.modify_db_instance(DBInstanceIdentifier=self._id, ApplyImmediately=True, **changed)
        if (second := settings.replicating(changes, self._second)) is not None:
            self._replicate(second)

    def description(self) -> Mapping[str, Any]:
        """Return the instance's settings, tags and the parameters that somebody set."""
        found = self._described(self._id)
        groups = [str(each["DBParameterGroupName"]) for each in found["DBParameterGroups"]]
        return as_json(
            {
                "provider": "rds",
                "instance": self._id,
                "settings": {name: found[name] for name in _TOLD if name in found},
                "tags": {tag["Key"]: tag.get("Value", "") for tag in found.get("TagList", ())},
                "parameters": {
                    group: self._parameters("describe_db_parameters", DBParameterGroupName=group) for group in groups
                },
            }
        )

    def _replicate(self, second: Elsewhere) -> None:
        """Have the automated backups replicated; RDS sends the data, so that a moment can be restored there."""
        found = self._described(self._id)
        encryption: Any = {"KmsKeyId": second.key} if found.get("StorageEncrypted") else {}
        with telling(f"replicating the backups of {self._id}"):
            second.client.start_db_instance_automated_backups_replication(
                SourceDBInstanceArn=str(found["DBInstanceArn"]),
                BackupRetentionPeriod=int(found["BackupRetentionPeriod"]),
                SourceRegion=self._here.region,
                **encryption,
            )

    def _carried(self, *, lasting: bool) -> Any:
        """Return the source's settings for a copy: what is not given would be the account's defaults."""
        source = self._described(self._id)
        kept = _CARRIED + (_LASTING if lasting else ())
        carried: dict[str, Any] = {key: source[key] for key in kept if source.get(key) is not None}
        if not lasting:
            carried |= {"BackupRetentionPeriod": 0, "DeletionProtection": False, "MultiAZ": False}
        return (
            carried
            | _speed_of(source)
            | {
                "DBSubnetGroupName": source["DBSubnetGroup"]["DBSubnetGroupName"],
                "VpcSecurityGroupIds": [each["VpcSecurityGroupId"] for each in source["VpcSecurityGroups"]],
                "DBParameterGroupName": source["DBParameterGroups"][0]["DBParameterGroupName"],
                "OptionGroupName": source["OptionGroupMemberships"][0]["OptionGroupName"],
                "EnableIAMDatabaseAuthentication": source.get("IAMDatabaseAuthenticationEnabled", False),
                "EnableCloudwatchLogsExports": source.get("EnabledCloudwatchLogsExports", []),
                "Tags": tags_of(self._id, source.get("TagList", ()), lasting=lasting),
            }
        )

    def _described(self, identifier: str) -> Document:
        with telling(f"looking at {identifier}"):
            found = self._client.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
        if not found:
            raise ProviderMissing(f"RDS knows no instance {identifier}.")
        return found[0]


def _copy(found: Any) -> Copy:
    identifier = str(found["DBInstanceIdentifier"])
    return Copy(
        id=identifier,
        name=identifier.removeprefix(PREFIX),
        progress=server_progress(found["DBInstanceStatus"]),
        created_at=found.get("InstanceCreateTime"),
    )


def _speed_of(source: Document) -> dict[str, int]:
    """Return the IOPS and the throughput of a volume, where they can be asked for."""
    kind = str(source.get("StorageType", ""))
    striped = kind == "gp3" and int(source.get("AllocatedStorage", 0)) >= _GP3_STRIPED_GIB
    names = (("Iops",) if kind.startswith("io") else ()) + (("Iops", "StorageThroughput") if striped else ())
    return {name: int(source[name]) for name in names if source.get(name)}
