"""Compare the restored schema with the archive's, definition by definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.reading import schema_of
from holdfast.archive.reading import read_schema_dump
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.restoring import RestorePlan
from holdfast.model.absent_roles import pruned
from holdfast.model.comparing import (
    DATABASE_OWNER,
    Restorer,
    SchemaDifferences,
    compare_grants,
    compare_schemas,
)
from holdfast.model.database_entries import database_owner, database_statements
from holdfast.model.restoring import PUBLIC, plan_schema
from holdfast.model.settling import settled
from holdfast.model.toc import TocEntry, read_toc
from holdfast.usecases.restore.rewording import reworded
from holdfast.usecases.restore.world import World


@dataclass(frozen=True, slots=True)
class Definitions:
    """The entries that a restore runs, and those that it tries."""

    run: tuple[TocEntry, ...]
    tried: tuple[TocEntry, ...]


def compare_definitions(
    connection: Connection, plan: RestorePlan, manifest: Manifest, world: World, *, seconds_left: Callable[[], float]
) -> tuple[list[str], list[str]]:
    """
    Return differences and notes; raises `StillWorking` when *seconds_left* says that there are none for pg_dump.

    What only a superuser may set is a note where another role restored. A server may write a query in other words
    once it was restored: such are printed by the server at hand before they are compared.
    """
    if plan.part.rows_only:
        return [], []
    absent = frozenset(plan.roles_absent)
    dumped = schema_of(world.target(plan), encoding=plan.locale.encoding, seconds_left=seconds_left)
    before = pruned(_of_part(plan, read_toc(read_schema_dump(world.archive, manifest))), absent).entries
    after = _comparable(plan, read_toc(dumped))
    partial = not manifest.selection.everything
    wanted, found = _cut(plan, before, partial=partial), _cut(plan, after, partial=partial)
    wanted = Definitions(_owned(plan, wanted.run), _owned(plan, wanted.tried))
    run, more = reworded(connection, wanted.run, found.run, other_major=plan.other_major)
    wanted, notes = replace(wanted, run=run), [*_of_public(plan, before), *more]
    differences = [sentence for each in _compare(plan, wanted.run, found.run) for sentence in each.all]
    notes += [sentence for each in _compare(plan, wanted.tried, found.tried) for sentence in each.all]
    database = [] if plan.part.by_name else list(_of_database(before, after))
    return (differences + database, notes) if plan.superuser else (differences, notes + database)


def _of_part(plan: RestorePlan, entries: tuple[TocEntry, ...]) -> tuple[TocEntry, ...]:
    """Return the entries that the restore was to run."""
    if plan.part.entries is None:
        return entries
    numbers = frozenset(plan.part.entries)
    return tuple(entry for entry in entries if entry.number in numbers)


def _comparable(plan: RestorePlan, found: tuple[TocEntry, ...]) -> tuple[TocEntry, ...]:
    """Return what was found but for the schemas that were added, which are not of the archive by intention."""
    added = set(plan.part.schemas_added)
    return tuple(entry for entry in found if not (entry.kind == "SCHEMA" and entry.tag in added))


def _cut(plan: RestorePlan, entries: tuple[TocEntry, ...], *, partial: bool) -> Definitions:
    """Cut *entries* by the rules that cut the archive's for the restore."""
    schema = plan_schema(
        entries,
        table_bytes={},
        superuser=plan.superuser,
        foreign_roles=frozenset(plan.roles_foreign),
        partial=partial,
    )
    # Of a database that the restore created, the schema public is its own.
    ours = {entry.number for entry in schema.if_allowed if entry.tag == PUBLIC and not plan.database_exists}
    run = {*schema.restored, *ours}
    return Definitions(
        tuple(settled(entry) for entry in entries if entry.number in run),
        tuple(settled(entry) for entry in schema.if_allowed if entry.number not in ours),
    )


def _compare(
    plan: RestorePlan, wanted: Iterable[TocEntry], found: Iterable[TocEntry]
) -> tuple[SchemaDifferences, SchemaDifferences]:
    (was_granted, was), (is_granted, is_) = _apart(wanted), _apart(found)
    restorer = Restorer(plan.role, plan.superuser, frozenset(plan.roles_foreign))
    return compare_schemas(was, is_), compare_grants(was_granted, is_granted, restorer)


def _apart(entries: Iterable[TocEntry]) -> tuple[list[TocEntry], list[TocEntry]]:
    known = list(entries)
    grants = [entry for entry in known if entry.kind == "ACL"]
    return grants, [entry for entry in known if entry.kind != "ACL"]


def _owned(plan: RestorePlan, entries: Iterable[TocEntry]) -> tuple[TocEntry, ...]:
    """Return the archive's entries with the owners that they have after this restore; grants keep theirs."""
    foreign = set(plan.roles_foreign)

    def owner(entry: TocEntry) -> str:
        if entry.kind == "ACL" or entry.owner not in foreign:
            return entry.owner
        return DATABASE_OWNER if entry.tag == PUBLIC else plan.role

    return tuple(replace(entry, owner=owner(entry)) for entry in entries if not _is_others_public(plan, entry))


def _is_others_public(plan: RestorePlan, entry: TocEntry) -> bool:
    """Answer whether *entry* gives the schema public, which every new database has, to somebody we cannot act for."""
    return (entry.kind, entry.tag) == ("SCHEMA", "public") and entry.owner in plan.roles_foreign


def _of_public(plan: RestorePlan, before: Iterable[TocEntry]) -> Iterator[str]:
    for entry in before:
        if _is_others_public(plan, entry):
            yield f"The schema public belongs to the database's owner; in the source to {entry.owner}."


def _of_database(before: tuple[TocEntry, ...], after: tuple[TocEntry, ...]) -> Iterator[str]:
    was, is_ = (set(database_statements(entries, "it")) for entries in (before, after))
    for statement in sorted(was ^ is_):
        # What follows the setting's or right's name may be a value.
        said = " ".join(statement.split()[:5])
        yield f"A setting, grant or comment of the database is {'missing' if statement in was else 'new'}: {said} …"
    owner, found = database_owner(before), database_owner(after)
    if owner and owner != found:
        yield f"The database belongs to {found}; in the source to {owner}."
