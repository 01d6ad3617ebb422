"""Instances: create, describe, change, delete and restore them."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from psycopg import sql

from holdfast_local.history import Moment, RecordedServer
from holdfast_local.postgres.starting import find_port
from holdfast_local.rds.account import (
    ACCOUNT,
    HOST,
    Account,
    Document,
    Resource,
    now,
    refuse_protected,
    refuse_unless_available,
)
from holdfast_local.rds.errors import Refused

KIND = "DBInstance"
DEFAULT_GROUP = "default.postgres18"
_PLAIN = (
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBClusterIdentifier",
    "DBInstanceClass",
    "DeletionProtection",
    "Iops",
    "KmsKeyId",
    "MaxAllocatedStorage",
    "MultiAZ",
    "PreferredBackupWindow",
    "PreferredMaintenanceWindow",
    "PubliclyAccessible",
    "StorageEncrypted",
    "StorageThroughput",
    "StorageType",
)


class Instances:
    """The actions on instances; arguments and answers have boto3's shapes."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def create(self, region: str, asked: Document) -> Document:
        """Create an instance with a new server, or one of a cluster, whose server it speaks for."""
        resource = self._new(region, asked, {**asked, "StorageEncrypted": asked.get("StorageEncrypted", False)})
        cluster_id = asked.get("DBClusterIdentifier")
        if cluster_id is not None:
            self._join(resource, self._account.find("DBCluster", region, cluster_id))
            return {KIND: resource.document}
        password = asked.get("MasterUserPassword") or secrets.token_urlsafe(12)

        def work() -> None:
            storage = self._account.servers(self._account.place(), major=self._account.major)
            storage.start(port=resource.document["Endpoint"]["Port"])
            make_master(storage, str(asked["MasterUsername"]), password, asked.get("DBName"))
            resource.storage, resource.history_from = storage, now()

        self._account.later(resource, work)
        return {KIND: resource.document}

    def describe(self, region: str, asked: Document) -> Document:
        """Describe one instance or all."""
        wanted = asked.get("DBInstanceIdentifier")
        found = [self._account.find(KIND, region, wanted)] if wanted else self._account.all(KIND, region)
        for each in found:
            if each.storage is not None and each.document["BackupRetentionPeriod"]:
                each.document["LatestRestorableTime"] = self._account.latest(each)
        return {"DBInstances": [each.document for each in found]}

    def modify(self, region: str, asked: Document) -> Document:
        """Change settings, or the identifier."""
        resource = self._account.find(KIND, region, asked["DBInstanceIdentifier"])
        refuse_unless_available(resource)
        _refuse_overlapping(resource.document | asked)
        resource.document |= {name: asked[name] for name in _PLAIN if name in asked}
        resource.status = "modifying"
        name = asked.get("NewDBInstanceIdentifier")
        password = asked.get("MasterUserPassword")
        if name:
            resource.status = "renaming"
            self._account.rename(resource, name)

        def work() -> None:
            if password:
                set_password(resource.server(), resource.document["MasterUsername"], password)

        self._account.later(resource, work)
        return {KIND: resource.document}

    def delete(self, region: str, asked: Document) -> Document:
        """Delete an instance; without a final snapshot only when that is said."""
        resource = self._account.find(KIND, region, asked["DBInstanceIdentifier"])
        refuse_protected(resource)
        if not asked.get("SkipFinalSnapshot") and "DBClusterIdentifier" not in resource.document:
            raise Refused("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless it is skipped.")
        resource.status = "deleting"
        if "DBClusterIdentifier" in resource.document:
            resource.storage = None
        self._account.later(resource, lambda: self._account.drop(resource), then="deleted")
        return {KIND: resource.document}

    def restore_snapshot(self, region: str, asked: Document) -> Document:
        """Make an instance of a snapshot. Groups that are not given are the defaults, as in RDS."""
        snapshot = self._account.find("DBSnapshot", region, asked["DBSnapshotIdentifier"])
        refuse_unless_available(snapshot)
        return self._restored(region, asked, asked["DBInstanceIdentifier"], snapshot, Moment())

    def restore_to_time(self, region: str, asked: Document) -> Document:
        """Make an instance of a moment of another's history."""
        source = self._account.find(KIND, region, asked["SourceDBInstanceIdentifier"])
        if not source.document["BackupRetentionPeriod"]:
            raise Refused("PointInTimeRestoreNotEnabled", "Automated backups are not enabled for the source.")
        at = restore_moment(self._account, source, asked.get("RestoreTime"), asked.get("UseLatestRestorableTime"))
        return self._restored(region, asked, asked["TargetDBInstanceIdentifier"], source, at)

    def automated_backups(self, region: str, asked: Document) -> Document:
        """Describe the reach of each instance's automated backups."""
        wanted = asked.get("DBInstanceIdentifier")
        found = [self._account.find(KIND, region, wanted)] if wanted else self._account.all(KIND, region)
        return {
            "DBInstanceAutomatedBackups": [
                {
                    "DBInstanceArn": each.document["DBInstanceArn"],
                    "DBInstanceIdentifier": each.identifier,
                    "DbiResourceId": each.document["DbiResourceId"],
                    "Region": region,
                    "Status": "active",
                    "BackupRetentionPeriod": each.document["BackupRetentionPeriod"],
                    "Encrypted": each.document["StorageEncrypted"],
                    "RestoreWindow": {"EarliestTime": each.history_from, "LatestTime": self._account.latest(each)},
                }
                for each in found
                if each.history_from is not None and each.document["BackupRetentionPeriod"]
            ]
        }

    def replicate_backups(self, region: str, asked: Document) -> Document:
        """Have the automated backups of an instance of another region replicated to this one."""
        source = self._account.find(KIND, region, asked["SourceDBInstanceArn"])
        if source.document["StorageEncrypted"] and not asked.get("KmsKeyId"):
            raise Refused("KMSKeyNotAccessibleFault", "Encrypted backups need a key of the destination region.")
        arn = f"arn:aws:rds:{region}:{ACCOUNT}:auto-backup:ab-{secrets.token_hex(8)}"
        source.document["DBInstanceAutomatedBackupsReplications"] = [{"DBInstanceAutomatedBackupsArn": arn}]
        return {"DBInstanceAutomatedBackup": {"DBInstanceAutomatedBackupsArn": arn, "Region": source.region}}

    def _restored(self, region: str, asked: Document, name: str, source: Resource, at: Moment) -> Document:
        inherited: Document = {
            key: source.document[key] for key in ("MasterUsername", "Engine", "EngineVersion") if key in source.document
        }
        if asked.get("StorageType") == "gp3" and source.document.get("AllocatedStorage", 20) < 400 and "Iops" in asked:
            words = "IOPS or storage throughput for engine postgres and a storage size less than 400"
            raise Refused("InvalidParameterCombination", f"You can't specify {words}")
        encrypted = source.document.get("Encrypted", source.document.get("StorageEncrypted", False))
        settings: Document = {
            "DBInstanceClass": source.document.get("DBInstanceClass", "db.t4g.medium"),
            "BackupRetentionPeriod": source.document.get("BackupRetentionPeriod", 1),
            **inherited,
            **asked,
            "StorageEncrypted": encrypted,
            "KmsKeyId": source.document.get("KmsKeyId"),
        }
        resource = self._new(region, {**asked, "DBInstanceIdentifier": name}, settings)

        def work() -> None:
            storage = source.server().restore(self._account.place(), at)
            storage.start(port=resource.document["Endpoint"]["Port"])
            resource.storage, resource.history_from = storage, now()

        self._account.later(resource, work)
        return {KIND: resource.document}

    def _new(self, region: str, asked: Document, settings: Document) -> Resource:
        document: Document = {
            "DBInstanceIdentifier": asked["DBInstanceIdentifier"],
            "DbiResourceId": f"db-{secrets.token_hex(13).upper()}",
            "DBInstanceStatus": "creating",
            "Engine": settings.get("Engine", "postgres"),
            "EngineVersion": settings.get("EngineVersion", f"{self._account.major}.6"),
            "MasterUsername": settings.get("MasterUsername", "postgres"),
            "InstanceCreateTime": now(),
            "Endpoint": {"Address": HOST, "Port": find_port(None, HOST, lambda _: True), "HostedZoneId": "ZLOCAL"},
            "BackupRetentionPeriod": 1,
            "PreferredBackupWindow": "12:00-12:30",
            "PreferredMaintenanceWindow": "sun:20:00-sun:20:30",
            "MultiAZ": False,
            "PubliclyAccessible": False,
            "StorageEncrypted": False,
            "DeletionProtection": False,
            "CopyTagsToSnapshot": False,
            "IAMDatabaseAuthenticationEnabled": bool(settings.get("EnableIAMDatabaseAuthentication")),
            "DBSubnetGroup": {"DBSubnetGroupName": settings.get("DBSubnetGroupName", "default")},
            "VpcSecurityGroups": [
                {"VpcSecurityGroupId": each, "Status": "active"}
                for each in settings.get("VpcSecurityGroupIds", ["sg-default"])
            ],
            "DBParameterGroups": [
                {
                    "DBParameterGroupName": settings.get("DBParameterGroupName", DEFAULT_GROUP),
                    "ParameterApplyStatus": "in-sync",
                }
            ],
            "OptionGroupMemberships": [{"OptionGroupName": "default:postgres-18", "Status": "in-sync"}],
            "TagList": list(settings.get("Tags", [])),
        }
        document |= {name: settings[name] for name in _PLAIN if settings.get(name) is not None}
        return self._account.add(KIND, region, document)

    def _join(self, resource: Resource, cluster: Resource) -> None:
        """Let an instance of a cluster start the cluster's server."""
        if cluster.storage is None:
            raise Refused("InvalidDBClusterStateFault", f"The cluster {cluster.identifier} is {cluster.status}.")
        resource.document["Endpoint"]["Port"] = cluster.document["Port"]
        resource.document["StorageEncrypted"] = cluster.document["StorageEncrypted"]

        def work() -> None:
            storage = cluster.server()
            if not storage.running:
                storage.start(port=cluster.document["Port"])
            cluster.history_from = cluster.history_from or now()
            cluster.document["DBClusterMembers"].append(
                {"DBInstanceIdentifier": resource.identifier, "IsClusterWriter": True}
            )

        self._account.later(resource, work)


def _refuse_overlapping(document: Document) -> None:
    backup, maintenance = str(document["PreferredBackupWindow"]), str(document["PreferredMaintenanceWindow"])
    if backup[:5] < maintenance[-5:] and maintenance[4:9] < backup[-5:]:
        raise Refused("InvalidParameterValue", "The backup window and maintenance window must not overlap.")


def restore_moment(account: Account, source: Resource, time: datetime | None, latest: Any) -> Moment:
    """Return the moment that a restore asks for; raises the error for one outside of the window."""
    if bool(latest) == (time is not None):
        raise Refused("InvalidParameterCombination", "Specify either a restore time or the latest restorable time.")
    newest = account.latest(source)
    if time is None:
        return Moment(time=newest) if account.limits.lag else Moment()
    if source.history_from is None or not source.history_from <= time <= newest:
        raise Refused("InvalidRestoreFault", "The restore time is outside of the restorable window.")
    return Moment(time=time)


def make_master(storage: RecordedServer, name: str, password: str, database: str | None) -> None:
    """Make the roles that RDS makes, and the first database."""
    with storage.session() as session:
        session.execute("CREATE ROLE rds_superuser NOLOGIN")
        session.execute("CREATE ROLE rdsadmin NOLOGIN SUPERUSER")
        session.execute("GRANT pg_monitor, pg_signal_backend, pg_read_all_data TO rds_superuser WITH ADMIN OPTION")
        statement = sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {} IN ROLE rds_superuser")
        session.execute(statement.format(sql.Identifier(name), sql.Literal(password)))
        if database:
            made = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), sql.Identifier(name))
            session.execute(made)


def set_password(storage: RecordedServer, name: str, password: str) -> None:
    """Change the master's password."""
    with storage.session() as session:
        session.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(password)))
