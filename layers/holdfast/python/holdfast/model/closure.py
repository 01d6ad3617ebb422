"""
Find what belongs to chosen tables and what they need, in the table of contents of a schema dump.

What belongs to a table comes with it: indexes, constraints, triggers, rules, policies, grants, comments, its sequences.
What any of it needs comes too, through any number of steps: schemas, types, functions, extensions, and the definitions
of tables that others cannot be without, such as the parent of a partition. Bodies of functions are texts that nobody
reads here. Foreign keys need both of their tables chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.building import parents_of
from holdfast.model.incomplete import referenced
from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

TABLES = {"TABLE", "FOREIGN TABLE"}
RELATIONS = {*TABLES, "VIEW", "MATERIALIZED VIEW", "SEQUENCE"}
_ABOUT = {"ACL", "COMMENT", "SECURITY LABEL", "SEQUENCE OWNED BY", "INDEX ATTACH"}
_OF_A_TABLE = {"INDEX", "CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "DEFAULT"}
_OF_A_TABLE |= {"STATISTICS", "SEQUENCE", "TABLE ATTACH"}
FOREIGN_KEY = "FK CONSTRAINT"


@dataclass(frozen=True, slots=True)
class Closure:
    """
    The numbers of the *entries* to restore, and what has to be told about them.

    *chosen* are the relations that were asked for, with their partitions and children; *needed* the tables that came
    along without their rows; *cut* the foreign keys that are left out; *unfilled* the materialised views that read
    rows which are not there.
    """

    entries: frozenset[int]
    chosen: frozenset[TableName]
    needed: tuple[TableName, ...]
    cut: tuple[TocEntry, ...]
    unfilled: frozenset[TableName]


def names_of(entries: Iterable[TocEntry]) -> list[TableName]:
    """Return the tables, views and sequences that can be chosen."""
    return sorted({TableName(entry.schema, entry.tag) for entry in entries if entry.kind in RELATIONS})


def close(
    entries: Sequence[TocEntry], wanted: Collection[TableName], schemas: Collection[str] = frozenset()
) -> Closure:
    """Return what restoring the *wanted* relations takes, and everything else that lies in *schemas*."""
    relations = {entry.number: TableName(entry.schema, entry.tag) for entry in entries if entry.kind in RELATIONS}
    chosen = _with_children(entries, relations, {number for number, name in relations.items() if name in wanted})
    inside = {entry.number for entry in entries if entry.schema in schemas and entry.kind != FOREIGN_KEY}
    inside |= {entry.number for entry in entries if entry.kind == "SCHEMA" and entry.tag in schemas}
    included = _reach(entries, relations, chosen | inside)
    names = frozenset(relations[number] for number in chosen)
    tables = {entry.number for entry in entries if entry.kind in TABLES}
    keys = [entry for entry in entries if entry.kind == FOREIGN_KEY and tables & included & set(entry.depends_on)]
    kept = [key for key in keys if _is_between(key, relations, names)]
    numbers = {key.number for key in kept}
    about_keys = {entry.number for entry in entries if entry.kind in _ABOUT and _first(entry) in numbers}
    return Closure(
        entries=frozenset(included | numbers | about_keys),
        chosen=names,
        needed=tuple(sorted(relations[number] for number in (tables & included) - chosen)),
        cut=tuple(key for key in keys if key not in kept),
        unfilled=frozenset(_unfilled(entries, chosen, tables)),
    )


def _with_children(entries: Sequence[TocEntry], relations: Mapping[int, TableName], roots: set[int]) -> set[int]:
    """Return *roots* with their partitions and children, and those of these."""
    children: dict[int, set[int]] = defaultdict(set)
    for child, parent in parents_of(entries, relations).items():
        children[parent].add(child)
    for entry in entries:
        if entry.kind in TABLES and "\nINHERITS (" in entry.definition:
            for parent in entry.depends_on:
                children[parent].add(entry.number)
    found, left = set(roots), list(roots)
    while left:
        new = children[left.pop()] - found
        found |= new
        left += new
    return found


def _reach(entries: Sequence[TocEntry], relations: Mapping[int, TableName], roots: Iterable[int]) -> set[int]:
    """Return *roots*, what belongs to them, and what all of it needs."""
    by_number = {entry.number: entry for entry in entries}
    belongings: dict[int, list[int]] = defaultdict(list)
    for entry in entries:
        if (home := _home_of(entry, relations)) is not None:
            belongings[home].append(entry.number)
    found: set[int] = set()
    left = list(roots)
    while left:
        number = left.pop()
        if number in found or number not in by_number:
            continue
        found.add(number)
        left += [*by_number[number].depends_on, *belongings[number]]
    return found


def _home_of(entry: TocEntry, relations: Mapping[int, TableName]) -> int | None:
    """Return what *entry* belongs to: the table in its name, for a rule or trigger may name others too."""
    if entry.kind in _ABOUT:
        return _first(entry)
    if entry.kind not in _OF_A_TABLE:
        return None
    homes = [number for number in entry.depends_on if number in relations]
    own = [number for number in homes if _is_named_after(entry, relations[number])]
    return next(iter([*own, *homes]), None)


def _is_named_after(entry: TocEntry, table: TableName) -> bool:
    return entry.schema == table.schema and f"{entry.tag} ".startswith(f"{table.name} ")


def _first(entry: TocEntry) -> int | None:
    return entry.depends_on[0] if entry.depends_on else None


def _is_between(key: TocEntry, relations: Mapping[int, TableName], chosen: Collection[TableName]) -> bool:
    own = {relations[number] for number in key.depends_on if number in relations}
    return own <= set(chosen) and referenced(key) in chosen


def _unfilled(entries: Sequence[TocEntry], chosen: Collection[int], tables: Collection[int]) -> Iterable[TableName]:
    by_number = {entry.number: entry for entry in entries}
    for entry in entries:
        if entry.kind != "MATERIALIZED VIEW":
            continue
        read, left = set[int](), list(entry.depends_on)
        while left:
            number = left.pop()
            if number in by_number and number not in read:
                read.add(number)
                left += by_number[number].depends_on
        if any(number in tables and number not in chosen for number in read):
            yield TableName(entry.schema, entry.tag)
