"""Snapshots of instances and of clusters: take, describe, copy, share and delete them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast_local.history import Moment
from holdfast_local.rds.account import ACCOUNT, Account, Document, Resource, now, refuse_unless_available
from holdfast_local.rds.errors import Refused


@dataclass(frozen=True, slots=True)
class Words:
    """How the two kinds of snapshots differ in names."""

    kind: str
    of: str
    plural: str
    encrypted: str


OF_INSTANCES = Words("DBSnapshot", "DBInstance", "DBSnapshots", "Encrypted")
OF_CLUSTERS = Words("DBClusterSnapshot", "DBCluster", "DBClusterSnapshots", "StorageEncrypted")


class Snapshots:
    """The actions on one kind of snapshots; arguments and answers have boto3's shapes."""

    def __init__(self, account: Account, words: Words) -> None:
        self._account, self._words = account, words

    def create(self, region: str, asked: Document) -> Document:
        """Take a manual snapshot of now."""
        source = self._account.find(self._words.of, region, asked[f"{self._words.of}Identifier"])
        refuse_unless_available(source)
        self._refuse_beyond_quota(region)
        tags = [
            *(source.document["TagList"] if source.document.get("CopyTagsToSnapshot") else []),
            *asked.get("Tags", []),
        ]
        resource = self._take(source, asked[f"{self._words.kind}Identifier"], "manual", tags)
        return {self._words.kind: resource.document}

    def take_automated(self, region: str, identifier: str) -> str:
        """Do what RDS does in the backup window: take an automated snapshot, and return its identifier."""
        source = self._account.find(self._words.of, region, identifier)
        name = f"rds:{identifier}-{now():%Y-%m-%d-%H-%M-%S}"
        return self._take(source, name, "automated", []).identifier

    def _take(self, source: Resource, name: str, kind: str, tags: list[Document]) -> Resource:
        words, document = self._words, source.document
        resource = self._account.add(
            words.kind,
            source.region,
            {
                f"{words.kind}Identifier": name,
                f"{words.of}Identifier": source.identifier,
                "Status": "creating",
                "PercentProgress": 0,
                "SnapshotType": kind,
                "Engine": document["Engine"],
                "EngineVersion": document["EngineVersion"],
                "MasterUsername": document["MasterUsername"],
                words.encrypted: document["StorageEncrypted"],
                "KmsKeyId": document.get("KmsKeyId"),
                "DbiResourceId": document.get("DbiResourceId"),
                f"{words.of.removeprefix('DB')}CreateTime": document[f"{words.of.removeprefix('DB')}CreateTime"],
                "TagList": tags,
            },
        )

        def work() -> None:
            taken_at = now()
            resource.storage = self._account.freeze(source.server(), Moment())
            resource.document |= {"SnapshotCreateTime": now(), "PercentProgress": 100}
            if words is OF_INSTANCES:
                resource.document |= {"OriginalSnapshotCreateTime": taken_at, "SnapshotDatabaseTime": taken_at}

        self._account.later(resource, work)
        return resource

    def describe(self, region: str, asked: Document) -> Document:
        """Describe one snapshot, those of one source, or all; of one type, where that is asked."""
        words = self._words
        if wanted := asked.get(f"{words.kind}Identifier"):
            return {words.plural: [self._account.find(words.kind, region, wanted).document]}
        of, kind = asked.get(f"{words.of}Identifier"), asked.get("SnapshotType")
        found = [each.document for each in self._account.all(words.kind, region)]
        return {
            words.plural: [
                each
                for each in found
                if of in {None, each[f"{words.of}Identifier"]} and kind in {None, each["SnapshotType"]}
            ]
        }

    def copy(self, region: str, asked: Document) -> Document:
        """Copy a snapshot into this region; an encrypted one needs a key of this region."""
        words = self._words
        source = self._account.find(words.kind, region, asked[f"Source{words.kind}Identifier"])
        refuse_unless_available(source)
        self._refuse_beyond_quota(region)
        abroad, key = source.region != region, asked.get("KmsKeyId")
        if source.document[words.encrypted] and abroad and not key:
            raise Refused("KMSKeyNotAccessibleFault", "An encrypted snapshot needs a key of the destination region.")
        if words is OF_CLUSTERS and key and not source.document[words.encrypted]:
            raise Refused("InvalidParameterCombination", "An unencrypted cluster snapshot cannot be copied with a key.")
        if (
            source.document[words.encrypted]
            and abroad
            and str(key).startswith("arn:")
            and f":{region}:" not in str(key)
        ):
            raise Refused("KMSKeyNotAccessibleFault", "The key does not exist in the destination region.")
        copying = [each for each in self._account.all(words.kind, region) if each.status == "copying"]
        if abroad and len(copying) >= self._account.limits.copies_in_progress:
            most = self._account.limits.copies_in_progress
            raise Refused("SnapshotQuotaExceeded", f"Cannot copy more than {most} snapshots across regions")
        tags = source.document["TagList"] if asked.get("CopyTags") else []
        resource = self._account.add(
            words.kind,
            region,
            {
                **source.document,
                f"{words.kind}Identifier": asked[f"Target{words.kind}Identifier"],
                f"Source{words.kind}" + ("Identifier" if words is OF_INSTANCES else "Arn"): source.document[
                    f"{words.kind}Arn"
                ],
                "SourceRegion": source.region,
                "Status": "copying",
                "SnapshotType": "manual",
                "KmsKeyId": key or source.document.get("KmsKeyId"),
                words.encrypted: source.document[words.encrypted] or bool(key),
                "TagList": [*tags, *asked.get("Tags", [])],
            },
        )

        def work() -> None:
            resource.storage = self._account.freeze(source.server(), Moment())
            resource.document["SnapshotCreateTime"] = now()

        self._account.later(resource, work)
        return {words.kind: resource.document}

    def delete(self, region: str, asked: Document) -> Document:
        """Delete a manual snapshot."""
        words = self._words
        resource = self._account.find(words.kind, region, asked[f"{words.kind}Identifier"])
        if resource.document["SnapshotType"] != "manual":
            raise Refused("InvalidDBSnapshotState", "Automated snapshots cannot be deleted.")
        if resource.status not in {"available", "failed", "copying"}:
            raise Refused("InvalidDBSnapshotState", f"The snapshot is {resource.status}.")
        self._account.drop(resource)
        return {words.kind: {**resource.document, "Status": "deleted"}}

    def share(self, region: str, asked: Document) -> Document:
        """Share a snapshot with other accounts: never one that is encrypted with RDS's own key."""
        words = self._words
        resource = self._account.find(words.kind, region, asked[f"{words.kind}Identifier"])
        if resource.document[words.encrypted] and str(resource.document.get("KmsKeyId", "")).endswith("alias/aws/rds"):
            raise Refused("InvalidParameterValue", "A snapshot encrypted with the default key cannot be shared.")
        shared: list[Any] = resource.document.setdefault("_SharedWith", [])
        shared += [each for each in asked.get("ValuesToAdd", []) if each != ACCOUNT]
        return {
            f"{words.kind}AttributesResult": {
                f"{words.kind}Identifier": resource.identifier,
                f"{words.kind}Attributes": [{"AttributeName": "restore", "AttributeValues": shared}],
            }
        }

    def _refuse_beyond_quota(self, region: str) -> None:
        if self._account.manual_snapshots(self._words.kind, region) >= self._account.limits.manual_snapshots:
            most = self._account.limits.manual_snapshots
            raise Refused("SnapshotQuotaExceeded", f"Cannot create more than {most} manual snapshots")
