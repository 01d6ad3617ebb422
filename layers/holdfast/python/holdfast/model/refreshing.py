"""Order materialised views so that those that read no others' rows are refreshed side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

MOST_LEVELS = 20
"""Each is a stage; the rest of a deeper pile is refreshed one by one."""


def refresh_levels(entries: Iterable[TocEntry], wanted: Sequence[TableName]) -> list[list[TableName]]:
    """
    Return *wanted* by levels: a view's level is one above the highest of those that it reads.

    It may read them through views and functions, as far as PostgreSQL knows. Views beyond `MOST_LEVELS`, and those
    that *entries* do not have, are in no level.
    """
    kept = list(entries)
    depends_on = {entry.number: entry.depends_on for entry in kept}
    numbers = {TableName(entry.schema, entry.tag): entry.number for entry in kept if entry.kind == "MATERIALIZED VIEW"}
    views = {numbers[name]: name for name in wanted if name in numbers}
    reads = {number: _reached(number, depends_on) & views.keys() for number in views}
    levels: list[list[TableName]] = []
    left = dict(reads)
    while left and len(levels) < MOST_LEVELS:
        ready = [number for number, others in left.items() if not others & left.keys()]
        if not ready:
            break
        levels.append([views[number] for number in ready])
        for number in ready:
            del left[number]
    return levels


def _reached(start: int, depends_on: Mapping[int, tuple[int, ...]]) -> set[int]:
    """Return what *start* depends on, through anything, without itself."""
    found: set[int] = set()
    left = list(depends_on.get(start, ()))
    while left:
        number = left.pop()
        if number not in found:
            found.add(number)
            left += depends_on.get(number, ())
    return found - {start}
