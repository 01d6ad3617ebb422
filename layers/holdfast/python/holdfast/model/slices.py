"""
Slices, batches and stages: the pieces in which a restore runs what the schema dump holds.

A slice is what one transaction of the target runs; it is the unit that is done or not. A batch is what one
invocation does. Batches of a stage run side by side, stages one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from holdfast.model.toc import TocEntry

Item = TypeVar("Item")


class Way(StrEnum):
    """
    How a slice runs its entries: as archived, or one half of what takes long.

    A key is its index, which many can build side by side, and then the constraint, which needs the table for
    itself, but only for a moment. A foreign key is the constraint, unchecked, and then the check, beside which
    others can read and write.
    """

    WHOLE = "whole"
    INDEX_OF_KEY = "index-of-key"
    KEY_FROM_INDEX = "key-from-index"
    UNCHECKED = "unchecked"
    CHECK = "check"


@dataclass(frozen=True, slots=True)
class Slice:
    """
    One transaction: entries of the schema dump to run, by number.

    *mark* is its name, unique within the restore; *weight* the bytes of the tables that it has to read.
    """

    mark: str
    what: str
    entries: tuple[int, ...]
    weight: int = 0
    way: Way = Way.WHOLE


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage's batches, each a sequence of slices to run in order."""

    name: str
    batches: tuple[tuple[Slice, ...], ...]


_NAMES = {Way.INDEX_OF_KEY: "index of ", Way.CHECK: "check of "}


class Numbering:
    """Give the slices of one stage their marks."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._next = 0

    def slice(self, entries: Sequence[TocEntry], weight: int = 0, way: Way = Way.WHOLE) -> Slice:
        """Return the next slice, of *entries*."""
        mark = f"{self._stage}/{self._next:06d}"
        self._next += 1
        first = _NAMES.get(way, "") + entries[0].name
        what = first if len(entries) == 1 else f"{first} and {len(entries) - 1} more"
        return Slice(mark, what, tuple(entry.number for entry in entries), weight, way)


def in_order(stage: str, entries: Sequence[TocEntry], size: int) -> tuple[Slice, ...]:
    """Return slices of up to *size* entries, in the entries' order."""
    numbered = Numbering(stage)
    return tuple(numbered.slice(group) for group in pack(entries, lambda _: 1, size, size))


def pack(items: Iterable[Item], weigh: Callable[[Item], int], limit: int, most: int) -> tuple[tuple[Item, ...], ...]:
    """
    Pack *items* into groups, in order, each of weight up to *limit* and of up to *most* items.

    An item heavier than *limit* stays alone.
    """
    groups: list[list[Item]] = []
    weight = 0
    for item in items:
        heavy = weigh(item)
        if groups and weight + heavy <= limit and len(groups[-1]) < most:
            groups[-1].append(item)
            weight += heavy
        else:
            groups.append([item])
            weight = heavy
    return tuple(tuple(group) for group in groups)


def evenly(items: Sequence[Item], most: int) -> tuple[tuple[Item, ...], ...]:
    """Return *items* in order in up to *most* groups of about the same number."""
    each = max(1, -(-len(items) // most))
    return tuple(tuple(items[first : first + each]) for first in range(0, len(items), each))


def batch_limit(total: int, concurrency: int, *, least: int, most: int, items: int = 9000) -> int:
    """
    Return how many bytes a batch may have: several batches for each worker, so that none waits long at the end.

    Not under *least* (an invocation costs too), not over *most* (it must end in time), and never so little that a
    Map would have more than *items* of its 10,000.
    """
    fair = -(-total // max(1, concurrency * 4))
    return max(min(max(fair, least), most), -(-total // items))
