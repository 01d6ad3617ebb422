"""The published snapshots of running backups."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.adapters.aws.catalogue.items import attributes, item_of, thing_of
from holdfast.adapters.aws.catalogue.table import Table
from holdfast.model.points import database_of
from holdfast.ports.catalogue import Hold

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoHolds:
    """`Holds` over the catalogue's table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def publish(self, hold: Hold) -> bool:
        """Make *hold* the current one of its point unless its generation or a newer one is there."""
        return self._table.put(
            *_key(hold.point_id),
            item_of(hold),
            "attribute_not_exists(pk) OR #generation < :generation"
            " OR (#generation = :generation AND #snapshot = :snapshot)",
            {"generation": hold.generation, "snapshot": hold.snapshot},
        )

    def current(self, point_id: str) -> Hold | None:
        """Return the current hold of the point."""
        item = self._table.get(*_key(point_id))
        return thing_of(Hold, item) if item else None

    def ping(self, point_id: str, generation: int, now: datetime) -> None:
        """Record that the holder of this generation lives."""
        self._table.update(
            *_key(point_id), attributes({"pinged_at": now}), "generation = :generation", {"generation": generation}
        )

    def end(self, point_id: str) -> None:
        """Forget the hold."""
        self._table.delete(*_key(point_id))

    def open(self, database: str) -> Sequence[Hold]:
        """Return the holds of the database that have not ended."""
        return [thing_of(Hold, item) for item in self._table.query(f"db#{database}", "hold#")]


def _key(point_id: str) -> tuple[str, str]:
    return f"db#{database_of(point_id)}", f"hold#{point_id}"
