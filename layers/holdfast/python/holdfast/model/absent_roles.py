"""
Take roles out of a schema that a provider keeps for itself and that another server has not got.

Whoever grants to such a role there would be told that it does not exist; nobody could create it either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from holdfast.model.database_entries import is_about_the_database, statements_in
from holdfast.model.toc import TocEntry

_NAME = r'"(?:[^"]|"")+"|[^\s",;()]+'
_GRANTEE = re.compile(rf"(?:TO|FROM) (?P<role>{_NAME})(?: WITH GRANT OPTION)?\Z")
_SETTING = re.compile(rf"ALTER ROLE (?P<role>{_NAME}) IN DATABASE ")
_GRANTOR = re.compile(rf"SET SESSION AUTHORIZATION (?P<role>{_NAME})\Z")
_POLICY = re.compile(rf"CREATE POLICY [^;]*? TO (?P<roles>(?:{_NAME})(?:, (?:{_NAME}))*)")
_MAPPING = re.compile(rf"CREATE USER MAPPING FOR (?P<roles>{_NAME})")
_ROLE = re.compile(_NAME)
_RESET = "RESET SESSION AUTHORIZATION"
_GRANTS = {"ACL", "ACL LANGUAGE", "DEFAULT ACL"}
_FOR_ROLES = {"POLICY": _POLICY, "USER MAPPING": _MAPPING}


@dataclass(frozen=True, slots=True)
class Pruned:
    """
    A schema without the absent roles.

    *rewritten* are the numbers of grants that lost some statements, *left_out* (name, reason) pairs of what is gone,
    in whole or in part.
    """

    entries: tuple[TocEntry, ...]
    rewritten: frozenset[int] = frozenset()
    left_out: tuple[tuple[str, str], ...] = ()


def pruned(entries: Iterable[TocEntry], absent: frozenset[str]) -> Pruned:
    """Return *entries* without grants to *absent* roles, settings of theirs and what is for them alone."""
    known = tuple(entries)
    if not absent:
        return Pruned(known)
    kept, rewritten, left_out = [], set(), []
    for entry in known:
        found = _without(entry, absent)
        if found is not entry:
            left_out.append((entry.name, f"It names {', '.join(sorted(absent))}, which the target has not got."))
        if found is not None:
            kept.append(found)
        if found is not None and found is not entry and entry.kind in _GRANTS:
            rewritten.add(entry.number)
    return Pruned(tuple(kept), frozenset(rewritten), tuple(left_out))


def roles_of_policy(definition: str) -> frozenset[str]:
    """Return the roles that a policy is for, as its TO clause names them; none is everybody."""
    found = _POLICY.match(definition)
    return frozenset(_named(found["roles"])) if found else frozenset()


def _without(entry: TocEntry, absent: frozenset[str]) -> TocEntry | None:
    if entry.kind == "DATABASE":
        return replace(entry, owner="") if entry.owner in absent else entry
    if entry.kind in _GRANTS or is_about_the_database(entry):
        return _statements_without(entry, absent)
    if pattern := _FOR_ROLES.get(entry.kind):
        found = pattern.match(entry.definition)
        return None if found and _named(found["roles"]) & absent else entry
    return entry


def _statements_without(entry: TocEntry, absent: frozenset[str]) -> TocEntry | None:
    statements = list(statements_in(entry.definition))
    kept = list(_kept(statements, absent))
    if len(kept) == len(statements):
        return entry
    definition = "".join(f"{statement};\n" for statement in kept)
    return replace(entry, definition=definition) if kept else None


def _kept(statements: Iterable[str], absent: frozenset[str]) -> Iterator[str]:
    by_absent = False
    for statement in statements:
        text = statement.strip()
        if found := _GRANTOR.match(text):
            by_absent = bool(_named(found["role"]) & absent)
        if not by_absent and not _is_for(text, absent):
            yield statement
        if text == _RESET:
            by_absent = False


def _is_for(statement: str, absent: frozenset[str]) -> bool:
    found = _GRANTEE.search(statement) if statement.startswith(("GRANT", "REVOKE", "ALTER DEFAULT")) else None
    found = found or _SETTING.match(statement)
    return bool(found and _named(found["role"]) & absent)


def _named(roles: str) -> set[str]:
    return {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in _ROLE.findall(roles)}
