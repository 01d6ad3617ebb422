"""
Write definitions that say the same alike: a server prints some in other words once they have been restored.

`IN ('a', 'b')` on a varchar column is printed as `(ARRAY['a'::character varying, …])::text[]`; reading that pushes
the cast into the elements, and from then on it is printed there. A policy's roles come in the order of their oids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from holdfast.model.toc import TocEntry

_NAME = r'(?:"(?:[^"]|"")+"|[^\s",.()]+)'
_POLICY = re.compile(
    rf"(?P<head>CREATE POLICY {_NAME} ON {_NAME}\.{_NAME}(?: AS RESTRICTIVE)?(?: FOR [A-Z]+)? TO )"
    rf"(?P<roles>{_NAME}(?:, {_NAME})*)"
)
_ROLE = re.compile(_NAME)
_TOKEN = re.compile(r"""E?'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|.""", re.DOTALL)
_CAST = re.compile(rf"\)?::(?P<type>{_NAME}(?:\.{_NAME})?(?: varying)?(?:\(\d+\))?)\[\]")
_ENCLOSED = re.compile(r"(?:\A|[^\w\"])\(\Z")
_OPENS, _CLOSES = "([", ")]"
_NOT_NULL = re.compile(rf" CONSTRAINT {_NAME} NOT NULL(?=,?$)", re.MULTILINE)
_TABLES = {"TABLE", "FOREIGN TABLE"}
_ROUTINES = {"FUNCTION", "PROCEDURE"}
# What people wrote is kept to the letter.
_VERBATIM = {"COMMENT", "SECURITY LABEL"}
_INHERITING = re.compile(r"\n\)\nINHERITS \(")


def settled(entry: TocEntry) -> TocEntry:
    """Return *entry* with its definition in the words that it has once it was restored."""
    text = entry.definition
    if entry.kind == "POLICY":
        text = _POLICY.sub(lambda found: found["head"] + ", ".join(sorted(_ROLE.findall(found["roles"]))), text, 1)
    if entry.kind not in _VERBATIM and (entry.kind not in _ROUTINES or is_query_body(entry)):
        text = _with_inner_casts(text)
    return entry if text == entry.definition else replace(entry, definition=text)


def is_query_body(entry: TocEntry) -> bool:
    """Answer whether *entry* is a routine whose body the server keeps parsed and prints anew."""
    return entry.kind in _ROUTINES and "\n    BEGIN ATOMIC\n" in entry.definition


def differs_in_order(was: TocEntry, is_: TocEntry) -> bool:
    """Answer whether a table that inherits differs in its columns' order only: inherited ones come first again."""
    if was.kind != "TABLE" or not _INHERITING.search(was.definition):
        return False
    one, other = (sorted(line.rstrip(",") for line in entry.definition.splitlines()) for entry in (was, is_))
    return one == other


def _with_inner_casts(text: str) -> str:
    """Return *text* with each cast of an array's constructor written at its elements."""
    at = text.rfind("ARRAY[")
    while at >= 0:
        text = _cast_inside(text, at)
        at = text.rfind("ARRAY[", 0, at)
    return text


def _cast_inside(text: str, at: int) -> str:
    end, elements = _elements(text, at + len("ARRAY["))
    found = _CAST.match(text, end)
    if not found or not elements:
        return text
    enclosed = found[0].startswith(")")
    if enclosed and not _ENCLOSED.search(text, 0, at):
        return text
    form = "({})::{}" if enclosed else "{}::{}"
    inner = ", ".join(form.format(element, found["type"]) for element in elements)
    return f"{text[: at - enclosed]}ARRAY[{inner}]{text[found.end() :]}"


def loses_not_null_names(was: TocEntry, is_: TocEntry) -> bool:
    """Answer whether only names of not-null constraints are gone, which servers before PostgreSQL 18 do not keep."""
    return was.kind in _TABLES and _NOT_NULL.sub(" NOT NULL", was.definition) == is_.definition


def end_of_list(text: str, begin: int) -> int:
    """Return where the list or expression in brackets that begins at *begin* has ended, after its bracket."""
    return _elements(text, begin)[0]


def _elements(text: str, begin: int) -> tuple[int, list[str]]:
    """Return where the list that begins at *begin* has ended, and its elements."""
    elements, first, end = [], begin, len(text)
    for mark, at, depth in _marks(text, begin):
        if depth == 0 and mark == ",":
            elements.append(text[first:at].strip())
            first = at + 1
        elif depth < 0:
            end = at
            break
    last = text[first:end].strip()
    return end + 1, [*elements, last] if last else elements


def _marks(text: str, begin: int) -> Iterator[tuple[str, int, int]]:
    """Yield each comma and bracket outside strings and names, with its place and the depth after it."""
    depth = 0
    for token in _TOKEN.finditer(text, begin):
        mark = token[0]
        depth += (mark in _OPENS) - (mark in _CLOSES)
        if mark in _OPENS or mark in _CLOSES or mark == ",":
            yield mark, token.start(), depth
