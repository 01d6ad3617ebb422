"""
Plan what reads whole tables again after their rows are there: indexes, constraints and foreign keys.

Small tables share transactions; what belongs to a large table gets its own, so that each can be resumed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.halving import can_be_halved, is_quick, table_of
from holdfast.model.slices import Numbering, Slice, StagePlan, Way, evenly, pack
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

ABOUT = {"COMMENT", "SECURITY LABEL"}
LARGE_TABLE = 256 * 1024 * 1024
"""Bytes of rows from which a table's indexes and foreign keys are built one to a transaction, side by side."""
SMALL_SLICE = 50
SMALL_BYTES = 64 * 1024 * 1024
MOST_OF_SMALL = 40
"""Batches of small tables in a stage: enough for all workers, and each costs the same whatever is in it."""

_TABLES = {"TABLE", "MATERIALIZED VIEW", "FOREIGN TABLE"}


@dataclass(frozen=True, slots=True)
class _Unit:
    """An index, constraint or foreign key of the table *home*, and the comments on it."""

    home: int
    entries: list[TocEntry]

    @property
    def number(self) -> int:
        return self.entries[0].number

    @property
    def kind(self) -> str:
        return self.entries[0].kind


@dataclass(frozen=True, slots=True)
class Tables:
    """
    The tables of a dump by their entries' numbers: bytes of rows, a partitioned table's with those of its partitions.

    *plain* are those that have rows of their own, *partitioned* those that only have partitions.
    """

    weights: Mapping[int, int]
    plain: frozenset[int] = frozenset()
    partitioned: frozenset[int] = frozenset()

    def built_over(self, number: int) -> int:
        """Return how many bytes an index of the table reads: one ON ONLY a partitioned table reads nothing."""
        return 0 if number in self.partitioned else self.weights.get(number, 0)

    def named_by(self, entry: TocEntry) -> int:
        """Return the bytes of the largest table that *entry* is about."""
        return max((self.weights.get(number, 0) for number in entry.depends_on), default=0)


def tables_of(entries: Sequence[TocEntry], table_bytes: Mapping[TableName, int]) -> Tables:
    """Return the tables among *entries*, of which *table_bytes* have rows."""
    names = {entry.number: TableName(entry.schema, entry.tag) for entry in entries if entry.kind in _TABLES}
    own = {number: table_bytes.get(name, 0) for number, name in names.items()}
    parents = parents_of(entries, names)
    weights = dict(own)
    for number, size in own.items():
        at, seen = parents.get(number), {number}
        while at is not None and at not in seen:
            weights[at] += size
            seen.add(at)
            at = parents.get(at)
    kinds = {entry.number: entry.relkind for entry in entries if entry.kind in _TABLES}
    plain, partitioned = (frozenset(number for number, kind in kinds.items() if kind == each) for each in "rp")
    return Tables(weights, plain, partitioned)


def above_foreign_tables(entries: Sequence[TocEntry]) -> frozenset[TableName]:
    """Return the tables that have foreign ones below them: reading those would ask somebody else's server."""
    names = {entry.number: TableName(entry.schema, entry.tag) for entry in entries if entry.kind in _TABLES}
    attached = parents_of(entries, names)
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


def parents_of(entries: Iterable[TocEntry], names: Mapping[int, TableName]) -> dict[int, int]:
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


def index_stages(entries: Sequence[TocEntry], tables: Tables) -> tuple[StagePlan, ...]:
    """
    Return one stage for each level of dependence, as a partition's index follows its parent's, and one of keys.

    The small tables' entries are packed together. A large table's indexes are built side by side, those of its keys
    too; that they are keys is said when all are there, since that takes the whole table, but no time. So do
    constraints that cannot be halved, one after the other.
    """
    units = _units(entries, tables.weights)
    needed = {number for unit in units for number in unit.entries[0].depends_on}
    large = [unit for unit in units if tables.built_over(unit.home) >= LARGE_TABLE and unit.number not in needed]
    late = {unit.number for unit in large if unit.kind == "CONSTRAINT"}
    halved = {unit.number for unit in large if unit.home in tables.plain and can_be_halved(unit.entries[0])}
    levels: dict[int, int] = {}
    by_level: dict[int, list[_Unit]] = defaultdict(list)
    for unit in units:
        level = max((levels[number] + 1 for number in unit.entries[0].depends_on if number in levels), default=0)
        levels[unit.number] = level
        if unit.number not in late or unit.number in halved:
            by_level[level].append(unit)
    stages = [
        StagePlan(name := f"indexes-{level}", _index_batches(Numbering(name), by_level[level], tables, halved))
        for level in sorted(by_level)
    ]
    keys = _key_batches([unit for unit in units if unit.number in late], tables, halved)
    return (*stages, StagePlan("keys", keys)) if keys else tuple(stages)


def _units(entries: Iterable[TocEntry], weights: Mapping[int, int]) -> list[_Unit]:
    units: dict[int, _Unit] = {}
    for entry in entries:
        if entry.kind in ABOUT and entry.depends_on[0] in units:
            units[entry.depends_on[0]].entries.append(entry)
        else:
            home = next((number for number in entry.depends_on if number in weights), entry.number)
            units[entry.number] = _Unit(home, [entry])
    return list(units.values())


def _by_home(units: Iterable[_Unit]) -> dict[int, list[_Unit]]:
    found: dict[int, list[_Unit]] = defaultdict(list)
    for unit in units:
        found[unit.home].append(unit)
    return found


def _index_batches(
    numbered: Numbering, units: Iterable[_Unit], tables: Tables, halved: Collection[int]
) -> tuple[tuple[Slice, ...], ...]:
    homes, weigh = _by_home(units), tables.built_over
    large = sorted((home for home in homes if weigh(home) >= LARGE_TABLE), key=lambda home: -weigh(home))
    batches: list[tuple[Slice, ...]] = []
    for home in large:
        # ADD CONSTRAINT locks the table against everything, CREATE INDEX only against writing.
        whole = [unit for unit in homes[home] if unit.kind == "CONSTRAINT" and unit.number not in halved]
        if whole:
            batches.append(tuple(numbered.slice(unit.entries, weigh(home)) for unit in whole))
        for unit in homes[home]:
            if unit.number in halved:
                batches.append((numbered.slice(unit.entries[:1], weigh(home), Way.INDEX_OF_KEY),))
            elif unit.kind != "CONSTRAINT":
                batches.append((numbered.slice(unit.entries, weigh(home)),))
    small = [homes[home] for home in homes if weigh(home) < LARGE_TABLE]
    shared: list[Slice] = []
    for packed in pack(small, lambda table: weigh(table[0].home) * len(table), SMALL_BYTES, SMALL_SLICE):
        together = [entry for table in packed for unit in table for entry in unit.entries]
        shared.append(numbered.slice(together, sum(weigh(table[0].home) for table in packed)))
    return (*batches, *evenly(shared, MOST_OF_SMALL))


def _key_batches(units: Iterable[_Unit], tables: Tables, halved: Collection[int]) -> tuple[tuple[Slice, ...], ...]:
    """Return a batch for each table that has something to build; keys that have their indexes share transactions."""
    numbered, ready = Numbering("keys"), list[list[_Unit]]()
    batches: list[tuple[Slice, ...]] = []
    for home, of_table in _by_home(units).items():
        quick = [unit for unit in of_table if unit.number in halved]
        slow = [unit for unit in of_table if unit.number not in halved]
        if not slow:
            ready.append(quick)
            continue
        first = [_keys(numbered, [quick])] if quick else []
        batches.append((*first, *(numbered.slice(unit.entries, tables.built_over(home)) for unit in slow)))
    shared = [_keys(numbered, packed) for packed in pack(ready, len, SMALL_SLICE, SMALL_SLICE)]
    return (*batches, *evenly(shared, MOST_OF_SMALL))


def _keys(numbered: Numbering, packed: Iterable[Iterable[_Unit]]) -> Slice:
    together = [entry for table in packed for unit in table for entry in unit.entries]
    return numbered.slice(together, way=Way.KEY_FROM_INDEX)


def foreign_key_stages(entries: Sequence[TocEntry], tables: Tables) -> tuple[StagePlan, ...]:
    """
    Return a stage in which foreign keys are made in turn, and one in which those of large tables are checked.

    Making one locks two tables, so several side by side are a deadlock waiting to happen; but unchecked it takes no
    time. A check keeps only other checks of the same table away. Those of partitioned tables can only be made as a
    whole, before PostgreSQL 18.
    """
    units = _units(entries, tables.weights)
    large = [unit for unit in units if tables.named_by(unit.entries[0]) >= LARGE_TABLE]
    large = [unit for unit in large if not is_quick(unit.entries[0])]
    halved = {unit.number for unit in large if can_be_halved(unit.entries[0])}
    slow = {unit.number for unit in large} - halved
    in_turn, checks = Numbering("foreign-keys"), Numbering("foreign-key-checks")
    made = tuple(
        in_turn.slice(
            [entry for unit in group for entry in unit.entries],
            way=Way.UNCHECKED if group[0].number in halved else Way.WHOLE,
        )
        for some in ([unit for unit in units if (unit.number in halved) == half] for half in (True, False))
        for group in pack([unit for unit in some if unit.number not in slow], lambda _: 1, SMALL_SLICE, SMALL_SLICE)
    )
    by_table: dict[str, list[_Unit]] = defaultdict(list)
    for unit in sorted(large, key=lambda unit: -tables.named_by(unit.entries[0])):
        by_table[table_of(unit.entries[0]) if unit.number in halved else f"{unit.number}"].append(unit)
    checked = tuple(
        tuple(_checked(checks, unit, tables, halved) for unit in of_table) for of_table in by_table.values()
    )
    stages = (StagePlan("foreign-keys", (made,) if made else ()), StagePlan("foreign-key-checks", checked))
    return tuple(stage for stage in stages if stage.batches)


def _checked(numbered: Numbering, unit: _Unit, tables: Tables, halved: Collection[int]) -> Slice:
    weight = tables.named_by(unit.entries[0])
    if unit.number in halved:
        return numbered.slice(unit.entries[:1], weight, Way.CHECK)
    return numbered.slice(unit.entries, weight)
