"""Say in words what one role has that another lacks, without the values of settings: those may be secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFacts:
    """A role as it is compared: *attributes* by their SQL words, *settings* and *groups* by name."""

    attributes: Mapping[str, bool]
    connection_limit: int = -1
    valid_until: str | None = None
    comment: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


def lacking(source: RoleFacts, target: RoleFacts) -> Iterator[str]:
    """Yield what *source* has, or has otherwise, than *target*."""
    for word, given in source.attributes.items():
        if given != target.attributes[word]:
            yield word if given else f"NO{word}"
    if source.connection_limit != target.connection_limit:
        yield f"CONNECTION LIMIT {source.connection_limit}"
    if source.valid_until != target.valid_until:
        yield f"VALID UNTIL {source.valid_until or 'infinity'}"
    if source.comment != target.comment:
        yield "another comment" if source.comment is not None else "no comment"
    yield from _of_names("the setting", source.settings, target.settings)
    yield from _of_names("membership in", source.groups, target.groups)


def _of_names(what: str, source: Mapping[str, str], target: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(source.keys() | target.keys()):
        if name not in source:
            yield f"not {what} {name}"
        elif name not in target:
            yield f"{what} {name}"
        elif source[name] != target[name]:
            yield f"{what} {name} otherwise"
