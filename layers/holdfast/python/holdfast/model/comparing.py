"""Compare what was archived with what was restored, and name every difference in a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.model.toc import TocEntry

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class SchemaDifferences:
    """*missing* and *extra* entries, and those that are there but *other*, as sentences."""

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    other: tuple[str, ...]


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
        found.setdefault((entry.kind, entry.schema, entry.tag), Counter())[content] += 1
    return found


def _name(key: _Key) -> str:
    kind, schema, tag = key
    return f"{kind.lower()} {schema + '.' if schema else ''}{tag}"
