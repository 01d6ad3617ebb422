"""
Halve what takes long: keys into index and constraint, foreign keys into constraint and check.

Only what reads exactly as pg_dump writes it is halved (`dumpConstraint` in PostgreSQL's pg_dump.c); exclusion
constraints, keys WITHOUT OVERLAPS, those of partitioned tables and whatever future versions write stay whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from holdfast.model.slices import Way
from holdfast.model.toc import TocEntry

_NAME = r'(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")'
_NAMES = rf"{_NAME}(?:, {_NAME})*"
_OPTIONS = r"(?:[^()']|'(?:[^']|'')*')+"
_HEAD = rf"ALTER TABLE ONLY (?P<table>{_NAME}\.{_NAME})\n    ADD CONSTRAINT (?P<name>{_NAME}) "
_KEY = re.compile(
    rf"{_HEAD}(?P<kind>PRIMARY KEY|UNIQUE)(?P<nulls> NULLS NOT DISTINCT)? \((?P<columns>{_NAMES})\)"
    rf"(?P<include> INCLUDE \({_NAMES}\))?(?P<options> WITH \({_OPTIONS}\))?"
    r"(?P<timing>(?: DEFERRABLE)?(?: INITIALLY DEFERRED)?);\n(?P<rest>.*)",
    re.DOTALL,
)
"""The rest marks the index for CLUSTER or as the replica identity, which needs the key to be there."""
_FOREIGN = re.compile(rf"{_HEAD}(?P<what>FOREIGN KEY .*);\n", re.DOTALL)
_UNCHECKED = ("NOT VALID", "NOT ENFORCED")


def can_be_halved(entry: TocEntry) -> bool:
    """Answer whether the key or foreign key *entry* is one of those that the functions of this module know."""
    return _key(entry) is not None or _foreign(entry) is not None


def is_quick(entry: TocEntry) -> bool:
    """Answer whether the foreign key *entry* was unchecked in the source, and so is not checked here either."""
    return entry.definition.rstrip().removesuffix(";").endswith(_UNCHECKED)


def table_of(entry: TocEntry) -> str:
    """Return the quoted name of the table that the halvable *entry* is a constraint of."""
    found = _key(entry) or _foreign(entry)
    return found["table"] if found else ""


def definition(entry: TocEntry, way: Way) -> str:
    """Return the SQL that runs *entry* in *way*; comments and what cannot be halved are as archived."""
    key, foreign = _key(entry), _foreign(entry)
    if key and way in _HALVES_OF_KEYS:
        return _HALVES_OF_KEYS[way](key)
    if foreign and way in _HALVES_OF_FOREIGN_KEYS:
        return _HALVES_OF_FOREIGN_KEYS[way](foreign)
    return entry.definition


def _index(key: re.Match[str]) -> str:
    also = (key["include"] or "") + (key["nulls"] or "") + (key["options"] or "")
    return f"CREATE UNIQUE INDEX {key['name']} ON {key['table']} USING btree ({key['columns']}){also};\n"


def _constraint(key: re.Match[str]) -> str:
    added = f"ADD CONSTRAINT {key['name']} {key['kind']} USING INDEX {key['name']}{key['timing']}"
    return f"ALTER TABLE ONLY {key['table']}\n    {added};\n{key['rest']}"


def _unchecked(key: re.Match[str]) -> str:
    return f"ALTER TABLE ONLY {key['table']}\n    ADD CONSTRAINT {key['name']} {key['what']} NOT VALID;\n"


def _check(key: re.Match[str]) -> str:
    return f"ALTER TABLE ONLY {key['table']}\n    VALIDATE CONSTRAINT {key['name']};\n"


_Half = Callable[[re.Match[str]], str]
_HALVES_OF_KEYS: dict[Way, _Half] = {Way.INDEX_OF_KEY: _index, Way.KEY_FROM_INDEX: _constraint}
_HALVES_OF_FOREIGN_KEYS: dict[Way, _Half] = {Way.UNCHECKED: _unchecked, Way.CHECK: _check}


def _key(entry: TocEntry) -> re.Match[str] | None:
    return _KEY.fullmatch(entry.definition) if entry.kind == "CONSTRAINT" else None


def _foreign(entry: TocEntry) -> re.Match[str] | None:
    found = _FOREIGN.fullmatch(entry.definition) if entry.kind == "FK CONSTRAINT" else None
    return None if found is None or is_quick(entry) else found
