"""
Find the tables whose rows name other things: a value of regclass can only be read where what it names is there.

The types are read off the schema dump: a column of such a type, of an array, domain, composite type or range of it,
or inherited. Tables of extensions are not in the dump, so they count as naming nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from holdfast.model.tables import TableName
from holdfast.model.toc import TocEntry

_NAMING = "class|collation|config|dictionary|namespace|operator|oper|procedure|proc|role|type"
# Indexes, views that need a key and functions that read one come after rows; roles and the like never do.
_NAMING_LATE = "class|operator|oper|procedure|proc|type"
_COLUMN = r'^    (?:"(?:[^"]|"")+"|[^\s"]+) reg(?:{})\b'
_ANYWHERE = r'(?<![\w."])reg(?:{})\b'
_TABLES = {"TABLE", "FOREIGN TABLE"}
_TYPES = {"TYPE", "DOMAIN"}
_BEHAVIOUR = {"TRIGGER", "POLICY", "ROW SECURITY", "CHECK CONSTRAINT"}


def tables_of_names(entries: Sequence[TocEntry]) -> frozenset[TableName]:
    """Return the tables that have columns of names of any kind."""
    return _with(entries, _NAMING)


def tables_to_load_late(entries: Sequence[TocEntry]) -> frozenset[TableName]:
    """Return the tables whose rows may name what is made after rows, such as an index."""
    return _with(entries, _NAMING_LATE)


def is_behaviour(entry: TocEntry) -> bool:
    """Answer whether *entry* would meddle with rows that are loaded after it; nothing else needs any such."""
    if entry.kind == "RULE":
        return not entry.tag.endswith(" _RETURN")
    return entry.kind in _BEHAVIOUR or (entry.kind == "CONSTRAINT" and entry.definition.endswith(" NOT VALID;\n"))


def _with(entries: Iterable[TocEntry], kinds: str) -> frozenset[TableName]:
    column, anywhere = re.compile(_COLUMN.format(kinds), re.MULTILINE), re.compile(_ANYWHERE.format(kinds))
    known = {entry.number: entry for entry in entries if entry.kind in _TABLES | _TYPES}
    users: dict[int, list[int]] = defaultdict(list)
    for entry in known.values():
        for number in entry.depends_on:
            users[number].append(entry.number)
    left = [
        entry.number
        for entry in known.values()
        if (column if entry.kind in _TABLES else anywhere).search(entry.definition)
    ]
    found: set[int] = set()
    while left:
        number = left.pop()
        if number not in found:
            found.add(number)
            left += users[number]
    return frozenset(
        TableName(entry.schema, entry.tag)
        for entry in known.values()
        if entry.number in found and entry.kind == "TABLE"
    )
