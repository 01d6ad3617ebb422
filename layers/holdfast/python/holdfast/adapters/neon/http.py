"""
Speak to Neon's API: what its errors mean, and its pages.

A project takes one change at a time and answers 423 meanwhile. That, 429 and 503 are safe to send again, whatever
the method; anything else is only when it reads. Whoever changes something therefore looks first whether it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from holdfast.adapters.json_api import Complaint, Document, JsonApi, Vendor
from holdfast.errors import HoldfastError, ProviderBusy, ProviderQuota, UnexpectedState

BASE = "https://console.neon.tech/api/v2"
_PAGE = 400
_QUOTA = ("LIMIT_EXCEEDED", "QUOTA_EXCEEDED")
_NOT_YET = ("not ready yet", "transitive state")


class NeonHttp(JsonApi):
    """A connection to the API for one project."""

    def __init__(
        self,
        key: str,
        *,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        base: str = BASE,
        patience: float = 60.0,
    ) -> None:
        vendor = Vendor(name="Neon", base=base, reading=_reading, meaning=_meaning, always={})
        super().__init__(vendor, key, sleep=sleep, now=now, patience=patience)

    def pages(self, path: str, name: str) -> Iterator[Document]:
        """Yield the items called *name* of all pages."""
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, limit=_PAGE, **cursor)
            items, following = page.get(name), page.get("pagination") or {}
            if not isinstance(items, list) or not isinstance(following, dict):
                raise UnexpectedState(f"Neon answered {path} without {name}.")
            yield from items
            next_one = following.get("next") or following.get("cursor")
            if not next_one or not items or next_one == cursor.get("cursor"):
                return
            cursor = {"cursor": str(next_one)}


def _reading(body: Document) -> tuple[str, str]:
    return str(body.get("message") or ""), str(body.get("code") or "")


def _meaning(complaint: Complaint) -> HoldfastError | None:
    if any(words in complaint.said for words in _NOT_YET):
        return ProviderBusy(complaint.told, retry_after=complaint.retry_after)
    if any(words in f"{complaint.code} {complaint.said.upper().replace(' ', '_')}" for words in _QUOTA):
        return ProviderQuota(complaint.told)
    return None
