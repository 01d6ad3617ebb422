"""
The snapshots of one database in one region, of an instance or a cluster alike.

Manual ones bear our tag and are deleted by us alone; automated ones are RDS's own. A copy in another region is a
manual snapshot there, made by a call to that region.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.adapters.aws.rds.kinds import Kind
from holdfast.adapters.aws.rds.saying import PREFIX, Document, is_ours, snapshot_progress, tags_of, telling
from holdfast.errors import ProviderBusy, ProviderMissing, ProviderQuota, ProviderRefused, UnexpectedState
from holdfast.ports.providers import Progress, ProviderSnapshot, Quota

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

TAKEN_AT = "holdfast:taken-at"
"""A copy's own times are those of the copying, so the moment of its data goes along in this tag."""
MOST_COPIES = 20
"""RDS copies at most so many snapshots at once into a region, for the whole account."""
_ACROSS = "snapshots across regions"
"""How RDS words that limit; its code is that of the limit on manual snapshots."""


class Snapshots:
    """The snapshots of *source_id* in the region of *client*."""

    def __init__(self, client: RDSClient, kind: Kind, source_id: str) -> None:
        self._client, self._kind, self._source_id = client, kind, source_id

    @property
    def region(self) -> str:
        """Return the region."""
        return str(self._client.meta.region_name)

    def all(self) -> tuple[ProviderSnapshot, ...]:
        """Return all of them, manual and automated."""
        return tuple(self._told(each) for each in self._documents())

    def ours_of(self, region: str) -> tuple[ProviderSnapshot, ...]:
        """Return the copies that we made here of snapshots in *region*."""
        found = (each for each in self._documents(SnapshotType="manual") if is_ours(each, self._source_id))
        return tuple(self._told(each) for each in found if _region_of(str(each.get(self._kind.origin, ""))) == region)

    def take(self, name: str, tags: Sequence[Document]) -> ProviderSnapshot:
        """Ask for a manual snapshot, unless it is there."""
        identifier = f"{PREFIX}{name}"
        with suppress(ProviderMissing):
            return self._told(self.document(identifier))
        with telling(f"taking the snapshot {identifier}"):
            made = self._call(f"create_{self._kind.call}")(
                **{self._kind.snapshot + "Identifier": identifier, self._kind.source + "Identifier": self._source_id},
                Tags=list(tags),
            )
        return self._told(made[self._kind.snapshot])

    def fetch(self, original: Document, *, region: str, key: str) -> ProviderSnapshot:
        """
        Ask for a copy here of a snapshot in *region*, unless it is there; an encrypted one needs *key*.

        Its tags are given rather than copied, for ours would be among them twice.
        """
        kind = self._kind
        identifier = _name_of_copy(str(original[f"{kind.snapshot}Identifier"]))
        with suppress(ProviderMissing):
            return self._told(self.document(identifier))
        self._refuse_beyond_copies()
        encryption = {"KmsKeyId": key} if original.get(kind.encrypted) else {}
        try:
            with telling(f"copying the snapshot {original[f'{kind.snapshot}Identifier']} to {self.region}"):
                made = self._call(f"copy_{kind.call}")(
                    **{
                        f"Source{kind.snapshot}Identifier": original[f"{kind.snapshot}Arn"],
                        f"Target{kind.snapshot}Identifier": identifier,
                        **encryption,
                    },
                    Tags=[*tags_of(self._source_id, original.get("TagList", ())), *_moment_tag(original)],
                    SourceRegion=region,
                )
        except ProviderQuota as error:
            if _ACROSS in error.message:
                raise ProviderBusy(error.message) from error
            raise
        return self._told(made[kind.snapshot])

    def delete(self, identifier: str) -> bool:
        """Delete a manual snapshot that we made; False when it is gone already."""
        try:
            found = self.document(identifier)
            if found.get("SnapshotType") != "manual" or not is_ours(found, self._source_id):
                raise ProviderRefused(
                    f"The snapshot {identifier} is not one of Holdfast's.",
                    hint="RDS removes automated snapshots itself; others are deleted in its console.",
                )
            with telling(f"deleting the snapshot {identifier}"):
                self._call(f"delete_{self._kind.call}")(**{f"{self._kind.snapshot}Identifier": identifier})
        except ProviderMissing:
            return False
        return True

    def share(self, identifier: str, accounts: Sequence[str]) -> None:
        """Let *accounts* copy a manual snapshot; RDS refuses for one that is encrypted with its own key."""
        with telling(f"sharing the snapshot {identifier}"):
            self._call(f"modify_{self._kind.call}_attribute")(
                **{f"{self._kind.snapshot}Identifier": identifier},
                AttributeName="restore",
                ValuesToAdd=list(accounts),
            )

    def quota(self) -> Quota:
        """Return how many manual snapshots the account has and may have here."""
        with telling("reading the limits of the account"):
            found = self._client.describe_account_attributes()["AccountQuotas"]
        for each in found:
            if each.get("AccountQuotaName") == self._kind.quota:
                return Quota(what="manual snapshots", used=int(each["Used"]), limit=int(each["Max"]))
        raise UnexpectedState(f"RDS does not tell the limit {self._kind.quota}.")

    def document(self, identifier: str) -> Document:
        """Return a snapshot as RDS describes it."""
        with telling(f"looking at the snapshot {identifier}"):
            asked = {f"{self._kind.snapshot}Identifier": identifier}
            found: list[Document] = self._call(f"describe_{self._kind.call}s")(**asked)[f"{self._kind.snapshot}s"]
        if not found:
            raise ProviderMissing(f"RDS knows no snapshot {identifier}.")
        return found[0]

    def _refuse_beyond_copies(self) -> None:
        """Raise for a region that copies as many as it takes, of whatever database: the machine comes again."""
        with telling(f"listing the snapshots in {self.region}"):
            copying = sum(each["Status"] == "copying" for each in self._pages(SnapshotType="manual"))
        if copying >= MOST_COPIES:
            raise ProviderBusy(f"RDS copies {copying} snapshots to {self.region} at this moment, as many as it takes.")

    def _documents(self, **asked: str) -> list[Document]:
        with telling(f"listing the snapshots of {self._source_id}"):
            return list(self._pages(**{f"{self._kind.source}Identifier": self._source_id}, **asked))

    def _pages(self, **asked: str) -> Iterable[Document]:
        # The paginator's name is one of many literals to the stubs.
        pages = self._client.get_paginator(f"describe_{self._kind.call}s")  # type: ignore[call-overload]
        for page in pages.paginate(**asked):
            yield from page[f"{self._kind.snapshot}s"]

    def _call(self, name: str) -> Any:
        return getattr(self._client, name)

    def _told(self, found: Document) -> ProviderSnapshot:
        kind = self._kind
        identifier = str(found[f"{kind.snapshot}Identifier"])
        progress = snapshot_progress(str(found["Status"]))
        return ProviderSnapshot(
            id=identifier,
            name=identifier.removeprefix(PREFIX),
            progress=progress,
            source=str(found[f"{kind.source}Identifier"]),
            created_at=found.get("SnapshotCreateTime") or found.get("InstanceCreateTime") or found["ClusterCreateTime"],
            taken_at=None if progress is Progress.CREATING else _taken_at(found),
            encrypted=bool(found.get(kind.encrypted)),
            manual=found.get("SnapshotType") == "manual",
            size=found.get("FullSnapshotSizeInBytes"),
            copied_from=str(found.get(kind.origin) or "").rpartition("snapshot:")[2],
        )


def _taken_at(found: Document) -> datetime | None:
    """Return the moment of a snapshot's data: told by RDS for instances, by our tag for copies of clusters' ones."""
    tagged = next((str(tag["Value"]) for tag in found.get("TagList", ()) if tag["Key"] == TAKEN_AT), None)
    if tagged is not None:
        return datetime.fromisoformat(tagged)
    told: datetime | None = (
        found.get("SnapshotDatabaseTime") or found.get("OriginalSnapshotCreateTime") or found.get("SnapshotCreateTime")
    )
    return told


def _moment_tag(original: Document) -> list[dict[str, str]]:
    moment = _taken_at(original)
    return [{"Key": TAKEN_AT, "Value": moment.isoformat()}] if moment else []


def _name_of_copy(identifier: str) -> str:
    """Return the identifier of a copy: the snapshot's own, made ours; an automated one's has a colon."""
    return PREFIX + identifier.removeprefix(PREFIX).replace(":", "-")


def _region_of(arn: str) -> str:
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else ""
