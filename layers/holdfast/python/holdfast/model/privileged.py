"""
What only a superuser may define, as PostgreSQL's own commands check it.

Providers lend their administrators some of a superuser's rights, but none of these: they reach the server's process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from holdfast.model.toc import TocEntry

_KINDS = {
    *("SHELL TYPE", "OPERATOR CLASS", "OPERATOR FAMILY", "ACCESS METHOD", "FOREIGN DATA WRAPPER"),
    *("PROCEDURAL LANGUAGE", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE"),
}
_ROUTINES = {"FUNCTION", "PROCEDURE"}
_ROUTINE = re.compile(r"^    LANGUAGE (?:(?:c|internal)\b|.*\bLEAKPROOF\b)", re.MULTILINE)
_INTERNAL_STATE = re.compile(r"^    M?STYPE = internal\b", re.MULTILINE)
_FORCED = re.compile(r"^ALTER TABLE ONLY .+ FORCE ROW LEVEL SECURITY;$", re.MULTILINE)


def superusers_only(entries: Iterable[TocEntry]) -> Iterator[TocEntry]:
    """Yield the entries that only a superuser may run."""
    return (entry for entry in entries if _is_superusers(entry))


def forced_row_security(entries: Iterable[TocEntry]) -> Iterator[TocEntry]:
    """Yield the tables whose row security binds their owners too: who is bound cannot read what was restored."""
    return (entry for entry in entries if entry.kind == "TABLE" and _FORCED.search(entry.definition))


def _is_superusers(entry: TocEntry) -> bool:
    if entry.kind in _ROUTINES:
        # The body, which may say anything, comes last.
        return bool(_ROUTINE.search(entry.definition.partition("\n    AS ")[0]))
    if entry.kind == "AGGREGATE":
        return bool(_INTERNAL_STATE.search(entry.definition))
    return entry.kind in _KINDS or (entry.kind == "CAST" and "WITHOUT FUNCTION" in entry.definition)
