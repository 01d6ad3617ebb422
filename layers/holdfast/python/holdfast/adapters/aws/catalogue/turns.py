"""Turns of changing what a provider lets change one at a time only, such as a project of Neon's."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.adapters.aws.catalogue.items import attributes
from holdfast.adapters.aws.catalogue.table import Table
from holdfast.errors import ProviderBusy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONGEST = timedelta(minutes=15)
"""No function lasts longer, so a turn that is older is a dead one's."""
_KEY = "turn"


class DynamoTurns:
    """`Turns` over the catalogue's table."""

    def __init__(self, client: DynamoDBClient, table: str, *, now: Callable[[], datetime]) -> None:
        self._table, self._now = Table(client, table), now

    @contextmanager
    def turn(self, of: str) -> Iterator[None]:
        """Hold the turn of *of* for the block."""
        holder, now = secrets.token_hex(8), self._now()
        free = self._table.put(
            f"turn#{of}",
            _KEY,
            attributes({"holder": holder, "ends": now + LONGEST}),
            "attribute_not_exists(pk) OR #ends < :now",
            {"now": now},
        )
        if not free:
            raise ProviderBusy(f"Another function is changing {of} at this moment.")
        try:
            yield
        finally:
            self._table.delete(f"turn#{of}", _KEY, "holder = :holder", {"holder": holder})
