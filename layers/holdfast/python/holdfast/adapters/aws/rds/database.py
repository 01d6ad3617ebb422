"""What an RDS instance and an Aurora cluster have in common as a `Provider`: snapshots, here and in a second region."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.adapters.aws.rds.kinds import Kind
from holdfast.adapters.aws.rds.saying import Document, tags_of, telling
from holdfast.adapters.aws.rds.snapshots import Snapshots
from holdfast.errors import BadRequest, ProviderRefused
from holdfast.ports.providers import Capabilities, Progress, ProviderSnapshot, Quota

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

MOST_ACCOUNTS = 20
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The second region: a *client* of it, and the KMS *key* there that copies of encrypted snapshots are made with."""

    client: RDSClient
    key: str


class RdsDatabase(ABC):
    """The database *identifier*; *client* is one of its region, *second* where its snapshots are copied to."""

    def __init__(self, client: RDSClient, identifier: str, kind: Kind, *, second: Elsewhere | None = None) -> None:
        self._client, self._id, self._second = client, identifier, second
        self._here = Snapshots(client, kind, identifier)
        self._there = Snapshots(second.client, kind, identifier) if second else None
        self.capabilities = Capabilities(second_region=second is not None, sharing=True)

    @abstractmethod
    def _described(self, identifier: str) -> Document:
        """Return an instance or a cluster as RDS describes it; raises `ProviderMissing`."""

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the manual and the automated snapshots."""
        return self._here.all()

    def create_snapshot(self, name: str, *, keep_until: datetime | None = None) -> ProviderSnapshot:  # noqa: ARG002
        """Ask for a manual snapshot; RDS keeps it until it is deleted."""
        return self._here.take(name, tags_of(self._id, self._described(self._id).get("TagList", ())))

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a manual snapshot that we made."""
        return self._here.delete(snapshot_id)

    def quota(self) -> Quota:
        """Return how many manual snapshots the account has and may have in this region."""
        return self._here.quota()

    def copy_snapshot(self, snapshot_id: str) -> ProviderSnapshot:
        """Ask for a copy in the second region; it bears the snapshot's tags, ours and the moment of its data."""
        if self._there is None or self._second is None:
            raise ProviderRefused(
                f"There is no second region to copy the snapshot {snapshot_id} to.",
                hint="Set second_region in holdfast.toml.",
            )
        original = self._here.document(snapshot_id)
        return self._there.fetch(original, region=self._here.region, key=self._second.key)

    def second_region_snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the copies that we made there of snapshots of this database."""
        return self._there.ours_of(self._here.region) if self._there else ()

    def delete_second_region_snapshot(self, snapshot_id: str) -> bool:
        """Delete a copy that we made there; RDS gives one up that is still being copied."""
        return self._there.delete(snapshot_id) if self._there else False

    def share_snapshot(self, snapshot_id: str, accounts: Sequence[str]) -> None:
        """Let other accounts copy a manual snapshot; never everybody."""
        if not 0 < len(accounts) <= MOST_ACCOUNTS or not all(_ACCOUNT.fullmatch(each) for each in accounts):
            raise BadRequest(
                f"The snapshot {snapshot_id} is shared with one to {MOST_ACCOUNTS} accounts, "
                "each named by its 12 digits."
            )
        self._here.share(snapshot_id, accounts)

    def restore_in_place(self, at: datetime, *, keep_as: str, protect: bool) -> Progress:  # noqa: ARG002
        """Refuse: RDS restores beside the source only."""
        raise ProviderRefused(
            f"RDS cannot put {self._id} itself back to a moment.",
            hint="Restore a lasting copy beside it, and move the application to that.",
        )

    def _parameters(self, call: str, **group: str) -> dict[str, str]:
        """Return the parameters of a group that somebody set; *call* is the method that describes them."""
        with telling(f"reading the parameter group {next(iter(group.values()))}"):
            pages = self._client.get_paginator(call)  # type: ignore[call-overload]
            found = [each for page in pages.paginate(**group, Source="user") for each in page["Parameters"]]
        return {str(each["ParameterName"]): str(each["ParameterValue"]) for each in found if "ParameterValue" in each}
