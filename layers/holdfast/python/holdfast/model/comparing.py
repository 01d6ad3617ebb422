"""Compare what was archived with what was restored, and name every difference in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from holdfast.model.grants import Grant, grants_of
from holdfast.model.toc import TocEntry

DATABASE_OWNER = "pg_database_owner"
"""Whoever owns the database at hand is a member of this role."""

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class SchemaDifferences:
    """*missing* and *extra* entries, and those that are there but *other*, as sentences."""

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    other: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Return every sentence."""
        return self.missing + self.extra + self.other


@dataclass(frozen=True, slots=True)
class Restorer:
    """The *role* that restored; what belonged to *foreign* roles became its own, as it may not act for them."""

    role: str = ""
    superuser: bool = True
    foreign: frozenset[str] = frozenset()


def compare_grants(archived: Iterable[TocEntry], restored: Iterable[TocEntry], restorer: Restorer) -> SchemaDifferences:
    """
    Compare entries of grants as sets of rights.

    Grants to the old and the new owner of what changed hands are passed over: an owner needs none. Who granted is
    compared only where a superuser restored, who may grant in everybody's name.
    """
    was, is_ = list(archived), list(restored)
    changed = {_key(entry): entry.owner for entry in was if entry.owner in restorer.foreign}
    before, after = (_grants_by_key(entries, changed, restorer) for entries in (was, is_))
    missing, extra, other = [], [], []
    for key in sorted(before.keys() | after.keys()):
        given, found = before.get(key, frozenset()), after.get(key, frozenset())
        if given == found:
            continue
        if not found:
            missing.append(f"The {_name(key)} is missing.")
        elif not given:
            extra.append(f"The {_name(key)} is not in the archive.")
        else:
            other.append(f"The {_name(key)} is defined differently.")
    return SchemaDifferences(tuple(missing), tuple(extra), tuple(other))


def _grants_by_key(
    entries: Iterable[TocEntry], changed: Mapping[_Key, str], restorer: Restorer
) -> dict[_Key, frozenset[Grant]]:
    found: dict[_Key, frozenset[Grant]] = {}
    for entry in entries:
        key = _key(entry)
        owners = {changed[key], restorer.role, DATABASE_OWNER} if key in changed else set()
        grants = {grant for grant in grants_of(entry.definition) if grant.grantee not in owners}
        if not restorer.superuser:
            grants = {replace(grant, grantor="") for grant in grants}
        found[key] = found.get(key, frozenset()) | grants
    return found


def compare_schemas(archived: Iterable[TocEntry], restored: Iterable[TocEntry]) -> SchemaDifferences:
    """
    Compare two schemas entry by entry, in any order: pg_dump's depends on more than the schema.

    Entries of one name are told apart by their text; the names of their files' numbers do not matter.
    """
    before, after = _by_key(archived), _by_key(restored)
    missing, extra, other = [], [], []
    for key in sorted(before.keys() | after.keys()):
        was, is_ = before.get(key, Counter()), after.get(key, Counter())
        if was == is_:
            continue
        name = _name(key)
        if was.total() > is_.total():
            missing.append(f"The {name} is missing.")
        elif was.total() < is_.total():
            extra.append(f"The {name} is not in the archive.")
        else:
            other.append(f"The {name} is defined differently.")
    return SchemaDifferences(tuple(missing), tuple(extra), tuple(other))


def same_things(archived: Iterable[TocEntry], restored: Iterable[TocEntry]) -> Iterator[tuple[TocEntry, TocEntry]]:
    """Yield those that have one name on both sides but other texts."""
    before, after = (_alone(entries) for entries in (archived, restored))
    for key in before.keys() & after.keys():
        if before[key].definition != after[key].definition:
            yield before[key], after[key]


def _alone(entries: Iterable[TocEntry]) -> dict[_Key, TocEntry]:
    found: dict[_Key, list[TocEntry]] = {}
    for entry in entries:
        found.setdefault(_key(entry), []).append(entry)
    return {key: some[0] for key, some in found.items() if len(some) == 1}


def compare_values(kind: str, archived: Mapping[str, object], restored: Mapping[str, object]) -> Iterator[str]:
    """Yield a sentence for each of the archived things that is missing or has another value."""
    for name, value in archived.items():
        if name not in restored:
            yield f"The {kind} {name} is missing."
        elif restored[name] != value:
            yield f"The {kind} {name} is {restored[name]}, not {value}."
    for name in restored.keys() - archived.keys():
        yield f"The {kind} {name} is not in the archive."


def _by_key(entries: Iterable[TocEntry]) -> dict[_Key, Counter[tuple[str, str, str]]]:
    found: dict[_Key, Counter[tuple[str, str, str]]] = {}
    for entry in entries:
        content = (entry.definition, entry.owner, entry.access_method)
        found.setdefault(_key(entry), Counter())[content] += 1
    return found


def _key(entry: TocEntry) -> _Key:
    return entry.kind, entry.schema, entry.tag


def _name(key: _Key) -> str:
    kind, schema, tag = key
    return f"{kind.lower()} {schema + '.' if schema else ''}{tag}"
