"""What a Distributed Map reads, and what its children get."""

from __future__ import annotations

from holdfast.contracts.message import Contract


class Items(Contract):
    """Where the JSON array of a Distributed Map lies; *count* batches, *bytes* of estimated work."""

    bucket: str
    key: str
    count: int
    bytes: int = 0


class Done(Contract):
    """What a child of a Distributed Map ends with: nothing, for a large result would fail the Map."""
