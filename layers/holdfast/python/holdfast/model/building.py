"""
Plan what reads whole tables again after their rows are there: indexes, constraints and foreign keys.

Small tables share transactions; what belongs to a large table gets its own, so that each can be resumed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.slices import Numbering, Slice, StagePlan, pack
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

ABOUT = {"COMMENT", "SECURITY LABEL"}
LARGE_TABLE = 256 * 1024 * 1024
"""Bytes of rows from which a table's indexes and foreign keys are built one to a transaction, side by side."""
SMALL_SLICE = 50
SMALL_BYTES = 64 * 1024 * 1024

_TABLES = {"TABLE", "MATERIALIZED VIEW", "FOREIGN TABLE"}


@dataclass(frozen=True, slots=True)
class _Unit:
    """An index, constraint or foreign key of the table *home*, and the comments on it."""

    home: int
    entries: list[TocEntry]

    @property
    def kind(self) -> str:
        return self.entries[0].kind


def table_weights(entries: Sequence[TocEntry], table_bytes: Mapping[TableName, int]) -> dict[int, int]:
    """Return each table's bytes by its entry's number, a partitioned table's with those of its partitions."""
    names = {entry.number: TableName(entry.schema, entry.tag) for entry in entries if entry.kind in _TABLES}
    own = {number: table_bytes.get(name, 0) for number, name in names.items()}
    parents = _parents(entries, names)
    weights = dict(own)
    for number, size in own.items():
        at, seen = parents.get(number), {number}
        while at is not None and at not in seen:
            weights[at] += size
            seen.add(at)
            at = parents.get(at)
    return weights


def above_foreign_tables(entries: Sequence[TocEntry]) -> frozenset[TableName]:
    """Return the tables that have foreign ones below them: reading those would ask somebody else's server."""
    names = {entry.number: TableName(entry.schema, entry.tag) for entry in entries if entry.kind in _TABLES}
    attached = _parents(entries, names)
    above = {
        entry.number: {number for number in (*entry.depends_on, attached.get(entry.number)) if number in names}
        for entry in entries
        if entry.number in names
    }
    found: set[int] = set()
    waiting = [entry.number for entry in entries if entry.kind == "FOREIGN TABLE"]
    while waiting:
        for number in above[waiting.pop()] - found:
            found.add(number)
            waiting.append(number)
    return frozenset(names[number] for number in found)


def _parents(entries: Iterable[TocEntry], names: Mapping[int, TableName]) -> dict[int, int]:
    """Return the partitioned table of each partition: the table that its attachment names beside it."""
    parents = {}
    for entry in entries:
        if entry.kind == "TABLE ATTACH":
            tables = [number for number in entry.depends_on if number in names]
            child = next((number for number in tables if names[number] == TableName(entry.schema, entry.tag)), None)
            parent = next((number for number in tables if number != child), None)
            if child is not None and parent is not None:
                parents[child] = parent
    return parents


def index_stages(entries: Sequence[TocEntry], weights: Mapping[int, int]) -> tuple[StagePlan, ...]:
    """
    Return one stage for each level of dependence: a partition's index follows its parent's.

    The small tables' entries are packed together; a large table's indexes are built side by side.
    """
    levels: dict[int, int] = {}
    by_level: dict[int, list[_Unit]] = defaultdict(list)
    for unit in _units(entries, weights):
        first = unit.entries[0]
        level = levels[first.number] = max((levels[n] + 1 for n in first.depends_on if n in levels), default=0)
        by_level[level].append(unit)
    return tuple(
        StagePlan(name := f"indexes-{level}", _index_batches(name, by_level[level], weights))
        for level in sorted(by_level)
    )


def _units(entries: Iterable[TocEntry], weights: Mapping[int, int]) -> list[_Unit]:
    units: dict[int, _Unit] = {}
    for entry in entries:
        if entry.kind in ABOUT and entry.depends_on[0] in units:
            units[entry.depends_on[0]].entries.append(entry)
        else:
            home = next((number for number in entry.depends_on if number in weights), entry.number)
            units[entry.number] = _Unit(home, [entry])
    return list(units.values())


def _index_batches(stage: str, units: Sequence[_Unit], weights: Mapping[int, int]) -> tuple[tuple[Slice, ...], ...]:
    tables: dict[int, list[_Unit]] = defaultdict(list)
    for unit in units:
        tables[unit.home].append(unit)
    large = sorted((home for home in tables if weights.get(home, 0) >= LARGE_TABLE), key=lambda home: -weights[home])
    numbered = Numbering(stage)
    batches: list[tuple[Slice, ...]] = []
    for home in large:
        # ADD CONSTRAINT locks the table against everything, CREATE INDEX only against writing.
        keys = [unit for unit in tables[home] if unit.kind == "CONSTRAINT"]
        others = [[unit] for unit in tables[home] if unit.kind != "CONSTRAINT"]
        for batch in [keys, *others] if keys else others:
            batches.append(tuple(numbered.slice(unit.entries, weights[home]) for unit in batch))
    small = [tables[home] for home in tables if home not in set(large)]
    for packed in pack(small, lambda table: weights.get(table[0].home, 0) * len(table), SMALL_BYTES, SMALL_SLICE):
        together = [entry for table in packed for unit in table for entry in unit.entries]
        batches.append((numbered.slice(together, sum(weights.get(table[0].home, 0) for table in packed)),))
    return tuple(batches)


def foreign_key_batches(entries: Sequence[TocEntry], weights: Mapping[int, int]) -> tuple[tuple[Slice, ...], ...]:
    """
    Return the foreign keys of large tables one to a batch, all others in one batch.

    Each locks two tables, so several to a transaction are a deadlock waiting to happen unless they run in turn.
    """
    numbered = Numbering("foreign-keys")
    units = _units(entries, weights)
    sizes = {
        id(unit): max((weights.get(number, 0) for number in unit.entries[0].depends_on), default=0) for unit in units
    }
    large = [unit for unit in units if sizes[id(unit)] >= LARGE_TABLE]
    small = [unit for unit in units if sizes[id(unit)] < LARGE_TABLE]
    batches = [(numbered.slice(unit.entries, sizes[id(unit)]),) for unit in large]
    in_turn = tuple(
        numbered.slice([entry for unit in group for entry in unit.entries])
        for group in pack(small, lambda _: 1, SMALL_SLICE, SMALL_SLICE)
    )
    return (*batches, in_turn) if in_turn else tuple(batches)
