"""
Find what an older server cannot hold, by name, before anything is restored to it.

pg_dump writes for servers as new as itself. What is not listed here and yet too new ends the restore at the first
statement that the server does not know, before any row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from holdfast.model.settling import end_of_list
from holdfast.model.toc import TocEntry

_STRINGS = re.compile(r"E?'(?:[^'\\]|\\.|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)
_GENERATED = "GENERATED ALWAYS AS ("
_TABLES, _KEYS = {"TABLE", "FOREIGN TABLE"}, {"CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TABLE"}
_PUBLISHED = {"PUBLICATION TABLE"}

# The version that brought it, what it is called, the kinds of entries, and how pg_dump writes it.
_FEATURES: tuple[tuple[int, str, set[str], re.Pattern[str]], ...] = (
    (180_000, "a key without overlaps", {"CONSTRAINT"}, re.compile(r" WITHOUT OVERLAPS\)")),
    (180_000, "a foreign key over periods", {"FK CONSTRAINT"}, re.compile(r", PERIOD ")),
    (180_000, "a constraint that is not enforced", _KEYS, re.compile(r" NOT ENFORCED\b")),
    (180_000, "a not-null constraint that is not valid", _KEYS, re.compile(r" NOT NULL \S+ NOT VALID\b")),
    (180_000, "default privileges for large objects", {"DEFAULT ACL"}, re.compile(r" ON LARGE OBJECTS ")),
    (180_000, "published generated columns", {"PUBLICATION"}, re.compile(r"publish_generated_columns")),
    (170_000, "the right MAINTAIN", {"ACL", "DEFAULT ACL"}, re.compile(r"^GRANT [A-Z,() ]*\bMAINTAIN\b", re.MULTILINE)),
    (170_000, "a trigger on login", {"EVENT TRIGGER"}, re.compile(r" ON login\b")),
    (170_000, "a built-in collation", {"COLLATION"}, re.compile(r"provider = builtin")),
    (160_000, "rules of a collation", {"COLLATION"}, re.compile(r"\brules = ")),
    (150_000, "nulls that are not distinct", {"CONSTRAINT", "INDEX"}, re.compile(r" NULLS NOT DISTINCT\b")),
    (150_000, "a view as its invoker", {"VIEW"}, re.compile(r"security_invoker=")),
    (150_000, "a publication of a schema", {"PUBLICATION TABLES IN SCHEMA"}, re.compile(r"")),
    (150_000, "a publication of some columns or rows", _PUBLISHED, re.compile(r" WHERE \(|ADD TABLE ONLY \S+ \(")),
    (150_000, "an unlogged sequence", {"SEQUENCE"}, re.compile(r"CREATE UNLOGGED SEQUENCE")),
)
_VIRTUAL_SINCE = 180_000


def too_new(entries: Iterable[TocEntry], version: int) -> Iterator[tuple[str, str, int]]:
    """Yield (name of the entry, what it uses, the first major version that knows it) for what *version* lacks."""
    for entry in entries:
        text = _STRINGS.sub("''", entry.definition)
        for since, what, kinds, pattern in _FEATURES:
            if version < since and entry.kind in kinds and pattern.search(text):
                yield entry.name, what, since // 10_000
        if version < _VIRTUAL_SINCE and entry.kind in _TABLES and _has_virtual(text):
            yield entry.name, "a virtual generated column", _VIRTUAL_SINCE // 10_000


def _has_virtual(text: str) -> bool:
    at = text.find(_GENERATED)
    while at >= 0:
        begin = at + len(_GENERATED)
        if not text.startswith(" STORED", end_of_list(text, begin)):
            return True
        at = text.find(_GENERATED, begin)
    return False
