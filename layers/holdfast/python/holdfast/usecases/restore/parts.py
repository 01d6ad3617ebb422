"""Choose what of a point is restored: all of it, its schema or rows alone, or tables by their names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.selecting import close_names, match_names
from holdfast.contracts.manifest import Extension, Manifest, TableContent
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.restoring import Part
from holdfast.errors import BadRequest, PointNotRestorable
from holdfast.model.absent_roles import roles_of_policy
from holdfast.model.closure import Closure, close, names_of
from holdfast.model.grants import grants_of
from holdfast.model.incomplete import schemas_to_add
from holdfast.model.patterns import Pattern, schema_pattern, table_pattern
from holdfast.model.points import Kind
from holdfast.model.tables import Named, TableName
from holdfast.model.toc import TocEntry

Match = Callable[[Sequence[TableName], Sequence[Pattern]], tuple[frozenset[TableName], tuple[str, ...]]]
"""Returns the names that any pattern matches, and the patterns that match none."""


@dataclass(frozen=True, slots=True)
class Parted:
    """
    What is restored: the *manifest* and *entries* cut down to it, and the words for what is not.

    *chosen* are the relations that were asked for; *left_out* are (name, reason) pairs.
    """

    part: Part
    manifest: Manifest
    entries: tuple[TocEntry, ...]
    chosen: frozenset[TableName] = frozenset()
    left_out: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


def part_of(
    request: RestoreRequest, manifest: Manifest, entries: tuple[TocEntry, ...], connection: Connection
) -> Parted:
    """
    Return what *request* wants of the point; *connection* is to any server, which matches the patterns.

    Raises `BadRequest` for names that the point does not have, and `PointNotRestorable` for a kind that it lacks.
    """
    kind = request.kind or Kind(manifest.kind)
    if manifest.kind not in {kind, Kind.FULL}:
        raise PointNotRestorable(f"The recovery point {manifest.point_id} holds only its {manifest.kind}.")
    if not (request.tables or request.schemas):
        whole = kind == manifest.kind
        part = Part(kind=kind, whole=whole, schemas_added=_added(manifest, entries, kind))
        narrowed = manifest if whole else _of_kind(manifest, kind)
        return Parted(part, narrowed, () if kind == Kind.DATA else entries, warnings=_told(manifest))
    match = partial(match_names, connection)
    return named(manifest, entries, kind, tables=request.tables, schemas=request.schemas, match=match)


def named(
    manifest: Manifest,
    entries: tuple[TocEntry, ...],
    kind: str,
    *,
    tables: Sequence[str],
    schemas: Sequence[str],
    match: Match,
) -> Parted:
    """Return what patterns of *tables* and *schemas* want of the point, and what that needs; raises `BadRequest`."""
    wanted, matched = _wanted(manifest, entries, tables, schemas, match)
    closure = close(entries, wanted, matched) if entries else None
    words = ", ".join([*tables, *(f"{schema}.*" for schema in schemas)])
    parted = _cut(manifest, entries, kind, wanted, closure)
    return replace(parted, part=parted.part.model_copy(update={"words": words}))


def _added(manifest: Manifest, entries: Sequence[TocEntry], kind: str) -> tuple[str, ...]:
    return schemas_to_add(entries) if manifest.selection.include_tables and kind != Kind.DATA else ()


def _wanted(
    manifest: Manifest, entries: Sequence[TocEntry], tables: Sequence[str], of_schemas: Sequence[str], match: Match
) -> tuple[frozenset[TableName], frozenset[str]]:
    """Return the relations and schemas that the patterns match; of a table partitioned by hash, all of it."""
    names = names_of(entries) if entries else _held(manifest)
    schemas = sorted({name.schema for name in names} | {entry.tag for entry in entries if entry.kind == "SCHEMA"})
    try:
        found, unmatched = match(names, [table_pattern(text) for text in tables])
        named_alike = [TableName("public", schema) for schema in schemas]
        in_schemas, more = match(named_alike, [schema_pattern(text) for text in of_schemas])
    except ValueError as error:
        raise BadRequest(f"The pattern {error}.") from error
    if unmatched or more:
        raise _unknown(manifest.point_id, unmatched, more, names, schemas)
    matched = frozenset(name.name for name in in_schemas)
    wanted = found | {name for name in names if name.schema in matched}
    roots = {TableName(*table.load_into) for table in manifest.tables if _is_in(table, wanted) and table.load_into}
    heads = roots | wanted
    family = {TableName.of(one) for one in manifest.tables if _root(one) in heads}
    return frozenset(heads | family), matched


def _held(manifest: Manifest) -> list[TableName]:
    held: tuple[Iterable[Named], ...] = (manifest.tables, manifest.sequences, manifest.materialised_views)
    return sorted({TableName.of(one) for some in held for one in some})


def _unknown(
    point: str, tables: Sequence[str], schemas: Sequence[str], names: Sequence[TableName], known: Sequence[str]
) -> BadRequest:
    close_ones = {near for text in tables for near in close_names(text, map(str, names))}
    close_ones |= {near for text in schemas for near in close_names(text, known)}
    meant = f"Did you mean {' or '.join(sorted(close_ones))}? " if close_ones else ""
    return BadRequest(
        f"The recovery point {point} has nothing called {', '.join([*tables, *schemas])}.",
        hint=f"{meant}`holdfast show {point}` lists its tables; a name without a schema is one of public.",
        point=point,
    )


def _cut(
    manifest: Manifest,
    entries: tuple[TocEntry, ...],
    kind: str,
    wanted: frozenset[TableName],
    closure: Closure | None,
) -> Parted:
    """Cut manifest and entries down to what belongs to the wanted relations and what they need."""
    chosen = closure.chosen if closure else wanted
    kept = tuple(entry for entry in entries if closure and entry.number in closure.entries)
    of_kept = {TableName(entry.schema, entry.tag) for entry in kept if entry.kind == "SEQUENCE"}
    sequences = of_kept if closure else wanted
    unfilled = closure.unfilled if closure else frozenset()
    narrowed = _of_kind(manifest, kind).model_copy(
        update={
            "tables": tuple(one for one in manifest.tables if _is_in(one, chosen) and kind != Kind.SCHEMA),
            "sequences": tuple(one for one in manifest.sequences if _is_in(one, sequences) and kind != Kind.SCHEMA),
            "materialised_views": tuple(
                one
                for one in manifest.materialised_views
                if kind != Kind.SCHEMA and _is_in(one, chosen) and not _is_in(one, unfilled)
            ),
            "large_objects": None,
            "roles": _roles(manifest, kept) if kind != Kind.DATA else (),
            "extensions": _extensions(manifest, kept) if kind != Kind.DATA else (),
        }
    )
    part = Part(
        kind=kind,
        whole=False,
        entries=() if kind == Kind.DATA else tuple(entry.number for entry in kept),
        schemas_added=_added(manifest, kept, kind),
    )
    parted = Parted(part, narrowed, () if kind == Kind.DATA else kept, chosen, warnings=_told(manifest))
    return _with_words(parted, closure) if closure and kind != Kind.DATA else parted


def _with_words(parted: Parted, closure: Closure) -> Parted:
    cut = [(key.name, "It needs two tables, and only one of them was chosen.") for key in closure.cut]
    rows = parted.part.kind == Kind.FULL
    views = [
        (f"rows of the materialised view {name}", "It reads tables whose rows were not chosen: it stays unpopulated.")
        for name in sorted(closure.unfilled & parted.chosen)
        if rows
    ]
    told = (
        f"The table {name} is needed by what was chosen: its definition comes, its rows do not."
        for name in closure.needed
        if rows
    )
    return replace(parted, left_out=(*cut, *views), warnings=(*parted.warnings, *told))


def _of_kind(manifest: Manifest, kind: str) -> Manifest:
    """Return the manifest without what a restore of *kind* does not touch."""
    if kind == Kind.SCHEMA:
        return manifest.model_copy(
            update={"tables": (), "sequences": (), "large_objects": None, "materialised_views": ()}
        )
    return (
        manifest.model_copy(update={"extensions": (), "roles": (), "roles_document": None})
        if kind == Kind.DATA
        else manifest
    )


def _told(manifest: Manifest) -> tuple[str, ...]:
    """Return what has to be said of a point that has not all of its database."""
    said = [f"The point has not all of {manifest.database}: {manifest.selection}."] if str(manifest.selection) else []
    if manifest.without_rows and manifest.kind != Kind.SCHEMA:
        names = ", ".join(".".join(name) for name in manifest.without_rows[:_NAMED])
        more = f" and {len(manifest.without_rows) - _NAMED} more" if len(manifest.without_rows) > _NAMED else ""
        said.append(f"The point has no rows of {names}{more}.")
    return tuple(said)


_NAMED = 10


def _extensions(manifest: Manifest, entries: Sequence[TocEntry]) -> tuple[Extension, ...]:
    needed = {entry.tag for entry in entries if entry.kind == "EXTENSION"}
    return tuple(extension for extension in manifest.extensions if extension.name in needed)


def _roles(manifest: Manifest, entries: Sequence[TocEntry]) -> tuple[str, ...]:
    """Return the roles that are granted something or named by a policy; owners are asked for in any case."""
    granted = {grant.grantee for entry in entries if entry.kind == "ACL" for grant in grants_of(entry.definition)}
    ruled = {role for entry in entries if entry.kind == "POLICY" for role in roles_of_policy(entry.definition)}
    needed = granted | ruled
    return tuple(name for name in manifest.roles if name in needed)


def _is_in(one: Named, names: Collection[TableName]) -> bool:
    return TableName.of(one) in names


def _root(table: TableContent) -> TableName | None:
    return TableName(*table.load_into) if table.load_into else None
