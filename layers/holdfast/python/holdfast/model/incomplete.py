"""
Find what a schema dump of chosen tables names but does not have: pg_dump does not pull it in.

A foreign key may point to a table that was not chosen, a partition may be attached to one, and of tables chosen by
their names not even the schemas are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
# Quoted names are consumed as a whole, whatever they say.
_REFERENCES = re.compile(rf'"(?:[^"]|"")*"|\bREFERENCES (?P<schema>{_NAME})\.(?P<name>{_NAME})')
_TABLES = {"TABLE", "FOREIGN TABLE"}
_INDEXES = {"INDEX", "CONSTRAINT"}
_RELATIONS = {*_TABLES, "VIEW", "MATERIALIZED VIEW", "SEQUENCE"}


def dangling(entries: Sequence[TocEntry]) -> Iterator[tuple[TocEntry, str]]:
    """Yield the entries that need a table which is not among *entries*, and why they are left out."""
    tables = {TableName(entry.schema, entry.tag): entry.number for entry in entries if entry.kind in _TABLES}
    indexes = {entry.number for entry in entries if entry.kind in _INDEXES}
    numbers = set(tables.values())
    for entry in entries:
        if entry.kind == "FK CONSTRAINT" and (missing := referenced(entry)) and missing not in tables:
            yield entry, f"The table {missing}, to which it points, is not restored."
        elif entry.kind == "TABLE ATTACH" and len(numbers & set(entry.depends_on)) < 2:
            yield entry, "The partitioned table is not restored; its partition is a table by itself."
        elif entry.kind == "INDEX ATTACH" and len(indexes & set(entry.depends_on)) < 2:
            yield entry, "The partitioned table is not restored; its partition's index stands by itself."


def referenced(entry: TocEntry) -> TableName | None:
    """Return the table that a foreign key points to."""
    found = next((match for match in _REFERENCES.finditer(entry.definition) if match["name"]), None)
    return TableName(_plain(found["schema"]), _plain(found["name"])) if found else None


def schemas_to_add(entries: Iterable[TocEntry]) -> tuple[str, ...]:
    """Return the schemas that relations of *entries* lie in and that no entry creates, but for `public`."""
    known = list(entries)
    there = {entry.tag for entry in known if entry.kind == "SCHEMA"}
    return tuple(sorted({entry.schema for entry in known if entry.kind in _RELATIONS} - there - {"public"}))


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
