"""Tables, ranges and batches: what is copied, and in which pieces."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self


class Relation(StrEnum):
    """What a chunk's rows are rows of."""

    TABLE = "table"
    LARGE_OBJECTS = "large_objects"


class Named(Protocol):
    """Anything that has the schema and name of a relation."""

    @property
    def schema_name(self) -> str:
        """Return the schema's name."""

    @property
    def name(self) -> str:
        """Return the name within the schema."""


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table's schema and name, unquoted, exactly as the server knows them."""

    schema: str
    name: str

    @classmethod
    def of(cls, one: Named) -> Self:
        """Return the name of *one*."""
        return cls(one.schema_name, one.name)

    def __str__(self) -> str:
        """Return the name as people read it; never used in SQL."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class BlockRange:
    """
    The heap blocks from *first* up to, not including, *end*; the last range of a table has no *end*.

    Sizes are read after the snapshot is taken, so rows that count may lie beyond them, never before.
    """

    first: int = 0
    end: int | None = None

    @property
    def whole(self) -> bool:
        """Whether the range is the whole table, so that no TID condition is needed."""
        return self.first == 0 and self.end is None

    def __str__(self) -> str:
        """Return the range as people read it."""
        return "the whole table" if self.whole else f"blocks {self.first}-{'end' if self.end is None else self.end - 1}"
