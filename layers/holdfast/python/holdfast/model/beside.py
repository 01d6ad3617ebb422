"""Put what is restored beside what a database has already: nothing that is there is touched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from holdfast.model.closure import RELATIONS, home_of
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

_SHARED = {"SCHEMA", "EXTENSION"}


@dataclass(frozen=True, slots=True)
class Fitted:
    """The *entries* that are not there yet, and *clashes*: sentences about what stands in the way."""

    entries: tuple[TocEntry, ...]
    clashes: tuple[str, ...]


def fit_beside(entries: Sequence[TocEntry], found: Sequence[TocEntry], chosen: Collection[TableName]) -> Fitted:
    """
    Return those of *entries* that a database with *found* lacks.

    What was *chosen* must not be there. What it needs may be, if it is just the same; what belongs to such a thing
    then stays as it is there.
    """
    there = {(entry.kind, entry.schema, entry.tag): entry for entry in found}
    taken = {(entry.schema, entry.tag) for entry in found if entry.kind in RELATIONS}
    relations = {entry.number: TableName(entry.schema, entry.tag) for entry in entries if entry.kind in RELATIONS}
    kept, clashes, passed_over = list[TocEntry](), list[str](), set[int]()
    for entry in sorted(entries, key=lambda each: home_of(each, relations) is not None):
        same = there.get((entry.kind, entry.schema, entry.tag))
        is_relation = entry.kind in RELATIONS
        if home_of(entry, relations) in passed_over:
            passed_over.add(entry.number)
        elif is_relation and TableName(entry.schema, entry.tag) in chosen and (entry.schema, entry.tag) in taken:
            clashes.append(f"The {entry.name} is there already.")
        elif same is None and not (is_relation and (entry.schema, entry.tag) in taken):
            kept.append(entry)
        elif same is not None and (entry.kind in _SHARED or same.definition == entry.definition):
            passed_over.add(entry.number)
        else:
            clashes.append(f"The {entry.name}, which is needed, is there already and is another.")
    numbers = {entry.number for entry in kept}
    return Fitted(tuple(entry for entry in entries if entry.number in numbers), tuple(clashes))
