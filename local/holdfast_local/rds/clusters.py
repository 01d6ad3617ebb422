"""Aurora clusters: a cluster is storage; it answers once an instance was created in it."""

from __future__ import annotations

import secrets

from holdfast_local.history import Moment
from holdfast_local.postgres.starting import find_port
from holdfast_local.rds.account import (
    HOST,
    Account,
    Document,
    Resource,
    now,
    refuse_protected,
    refuse_unless_available,
)
from holdfast_local.rds.errors import Refused
from holdfast_local.rds.instances import make_master, restore_moment

KIND = "DBCluster"
_PLAIN = ("BackupRetentionPeriod", "CopyTagsToSnapshot", "DeletionProtection", "KmsKeyId", "PreferredBackupWindow")


class Clusters:
    """The actions on clusters; arguments and answers have boto3's shapes."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def create(self, region: str, asked: Document) -> Document:
        """Create a cluster without instances."""
        resource = self._new(region, asked["DBClusterIdentifier"], asked)
        password = asked.get("MasterUserPassword") or secrets.token_urlsafe(12)

        def work() -> None:
            storage = self._account.servers(self._account.place(), major=self._account.major)
            storage.start(port=resource.document["Port"])
            make_master(storage, str(asked["MasterUsername"]), password, asked.get("DatabaseName"))
            storage.stop()
            resource.storage = storage

        self._account.later(resource, work)
        return {KIND: resource.document}

    def describe(self, region: str, asked: Document) -> Document:
        """Describe one cluster or all."""
        wanted = asked.get("DBClusterIdentifier")
        found = [self._account.find(KIND, region, wanted)] if wanted else self._account.all(KIND, region)
        for each in found:
            if each.history_from is not None:
                each.document["EarliestRestorableTime"] = each.history_from
                each.document["LatestRestorableTime"] = self._account.latest(each)
        return {"DBClusters": [each.document for each in found]}

    def modify(self, region: str, asked: Document) -> Document:
        """Change settings, or the identifier."""
        resource = self._account.find(KIND, region, asked["DBClusterIdentifier"])
        refuse_unless_available(resource)
        resource.document |= {name: asked[name] for name in _PLAIN if name in asked}
        if name := asked.get("NewDBClusterIdentifier"):
            self._account.rename(resource, name)
        resource.status = "modifying"
        self._account.later(resource, lambda: None)
        return {KIND: resource.document}

    def delete(self, region: str, asked: Document) -> Document:
        """Delete a cluster that has no instance any more."""
        resource = self._account.find(KIND, region, asked["DBClusterIdentifier"])
        refuse_protected(resource)
        members = [
            each
            for each in self._account.all("DBInstance", region)
            if each.document.get("DBClusterIdentifier") == resource.identifier
        ]
        if any(each.status != "deleting" for each in members):
            raise Refused("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances.")
        if not asked.get("SkipFinalSnapshot"):
            raise Refused("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless it is skipped.")
        resource.status = "deleting"
        self._account.later(resource, lambda: self._account.drop(resource), then="deleted")
        return {KIND: resource.document}

    def restore_snapshot(self, region: str, asked: Document) -> Document:
        """Make a cluster of a cluster's snapshot."""
        snapshot = self._account.find("DBClusterSnapshot", region, asked["SnapshotIdentifier"])
        refuse_unless_available(snapshot)
        return self._restored(region, asked, snapshot, Moment())

    def restore_to_time(self, region: str, asked: Document) -> Document:
        """Make a cluster of a moment of another's history, or a clone of its present."""
        source = self._account.find(KIND, region, asked["SourceDBClusterIdentifier"])
        clone = asked.get("RestoreType") == "copy-on-write"
        if clone and asked.get("RestoreToTime"):
            raise Refused("InvalidParameterCombination", "A clone cannot be made of a moment.")
        at = restore_moment(self._account, source, asked.get("RestoreToTime"), asked.get("UseLatestRestorableTime"))
        return self._restored(region, asked, source, Moment() if clone else at)

    def _restored(self, region: str, asked: Document, source: Resource, at: Moment) -> Document:
        inherited = {key: source.document[key] for key in ("MasterUsername", "Engine", "EngineVersion")}
        settings = {
            **inherited,
            **asked,
            "StorageEncrypted": source.document["StorageEncrypted"],
            "KmsKeyId": asked.get("KmsKeyId") or source.document.get("KmsKeyId"),
        }
        resource = self._new(region, asked["DBClusterIdentifier"], settings)

        def work() -> None:
            resource.storage = source.server().restore(self._account.place(), at)

        self._account.later(resource, work)
        return {KIND: resource.document}

    def _new(self, region: str, identifier: str, settings: Document) -> Resource:
        port = find_port(None, HOST, lambda _: True)
        document: Document = {
            "DBClusterIdentifier": identifier,
            "DbClusterResourceId": f"cluster-{secrets.token_hex(13).upper()}",
            "Status": "creating",
            "Engine": settings.get("Engine", "aurora-postgresql"),
            "EngineVersion": settings.get("EngineVersion", f"{self._account.major}.6"),
            "MasterUsername": settings.get("MasterUsername", "postgres"),
            "ClusterCreateTime": now(),
            "Endpoint": HOST,
            "ReaderEndpoint": HOST,
            "Port": port,
            "BackupRetentionPeriod": 1,
            "PreferredBackupWindow": "12:00-12:30",
            "PreferredMaintenanceWindow": "sun:20:00-sun:20:30",
            "StorageEncrypted": bool(settings.get("StorageEncrypted")),
            "DeletionProtection": False,
            "CopyTagsToSnapshot": False,
            "DBClusterMembers": [],
            "DBClusterParameterGroup": settings.get("DBClusterParameterGroupName", "default.aurora-postgresql18"),
            "DBSubnetGroup": settings.get("DBSubnetGroupName", "default"),
            "VpcSecurityGroups": [
                {"VpcSecurityGroupId": each, "Status": "active"}
                for each in settings.get("VpcSecurityGroupIds", ["sg-default"])
            ],
            "IAMDatabaseAuthenticationEnabled": bool(settings.get("EnableIAMDatabaseAuthentication")),
            "TagList": list(settings.get("Tags", [])),
        }
        document |= {name: settings[name] for name in _PLAIN if settings.get(name) is not None}
        return self._account.add(KIND, region, document)
