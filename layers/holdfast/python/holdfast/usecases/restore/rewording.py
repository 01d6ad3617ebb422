"""Recognise definitions that the target's server writes in other words than the archive, and that say the same."""

from __future__ import annotations

from dataclasses import replace

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.reprinting import prints_alike, replaces_alike
from holdfast.model.comparing import same_things
from holdfast.model.settling import differs_in_order, is_query_body, loses_not_null_names
from holdfast.model.toc import TocEntry

_RETURN = " _RETURN"
_VIEWS = {"VIEW", "MATERIALIZED VIEW"}


def reworded(
    connection: Connection, wanted: tuple[TocEntry, ...], found: tuple[TocEntry, ...], *, other_major: bool
) -> tuple[tuple[TocEntry, ...], list[str]]:
    """
    Return *wanted* with the server's words where those say the same, and notes about what differs without loss.

    What the server cannot print anew is a difference, unless another major version wrote it.
    """
    notes: list[str] = []
    texts: dict[TocEntry, TocEntry] = {}
    for was, is_ in same_things(wanted, found):
        if differs_in_order(was, is_):
            notes.append(
                f"The {was.name} inherits: the order of its columns is another, as pg_dump restores such tables."
            )
        elif other_major and loses_not_null_names(was, is_):
            notes.append(
                f"The {was.name} has not-null constraints with names, which the target's version does not keep."
            )
        elif not _says_the_same(connection, was, is_, other_major=other_major, notes=notes):
            continue
        texts[was] = replace(was, definition=is_.definition)
    return tuple(texts.get(entry, entry) for entry in wanted), notes


def _says_the_same(
    connection: Connection, was: TocEntry, is_: TocEntry, *, other_major: bool, notes: list[str]
) -> bool:
    if not _is_query(was):
        return False
    alike = _alike(connection, was, is_)
    if alike is None and other_major:
        notes.append(f"The {was.name} is written differently by another major version; its text was not compared.")
    return other_major if alike is None else alike


def _alike(connection: Connection, was: TocEntry, is_: TocEntry) -> bool | None:
    if view := _view(is_):
        return prints_alike(connection, (is_.schema, view), (was.definition, is_.definition))
    return replaces_alike(connection, was.definition)


def _view(entry: TocEntry) -> str:
    """Return the name of the view that *entry* defines; where it needs a key, pg_dump gives its query as a rule."""
    if entry.kind == "RULE":
        return entry.tag.removesuffix(_RETURN) if entry.tag.endswith(_RETURN) else ""
    return entry.tag if entry.kind in _VIEWS else ""


def _is_query(entry: TocEntry) -> bool:
    """Answer whether the server writes the entry's text anew from a parsed query."""
    return entry.kind in {*_VIEWS, "RULE"} or is_query_body(entry)
