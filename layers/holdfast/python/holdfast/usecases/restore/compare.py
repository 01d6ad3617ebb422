"""Add up what was read back, and compare everything with the archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.facts import large_objects, materialised_views
from holdfast.adapters.postgres.loading import hash_root
from holdfast.adapters.postgres.marks import check_owner, drop_marks
from holdfast.adapters.postgres.reading import invalid_indexes, schema_of, sequence_values
from holdfast.adapters.postgres.sending import connect_to_restore, refused
from holdfast.archive.digest import TableDigest
from holdfast.archive.reading import read_object
from holdfast.contracts.manifest import LargeObject, Manifest
from holdfast.contracts.restore import Proof, RestoreStep
from holdfast.contracts.restoring import Comparison, ProveResult, RestorePlan, TableProof
from holdfast.contracts.verify import Verification
from holdfast.errors import UnexpectedState
from holdfast.model.aclitems import read_aclitem
from holdfast.model.comparing import compare_schemas, compare_values
from holdfast.model.database_entries import database_statements
from holdfast.model.keys import VERIFICATION, ArchiveKeys, RunKeys
from holdfast.model.restoring import plan_schema
from holdfast.model.toc import TocEntry, read_toc
from holdfast.usecases.restore.batches import read_results
from holdfast.usecases.restore.world import World

COMPARISON = "comparison.json"
SHOWN = 20
"""Differences in the answer; the report has all of them."""


def compare(request: RestoreStep, world: World) -> Proof:
    """
    Return whether the restored database equals the archive, and drop the marks when it does.

    May be repeated: what was compared once stays compared, since the database is the user's from then on.
    """
    plan = world.plan(request.restore_id)
    key = RunKeys("restore", plan.restore_id).document(COMPARISON)
    found = world.find(Comparison, key)
    if found is None or not found.proven:
        found = _compare(plan, world)
        world.write(key, found)
    if found.proven:
        _drop_marks(plan, world)
    return _proof(found)


def _compare(plan: RestorePlan, world: World) -> Comparison:
    manifest = world.manifest(plan)
    try:
        with connect_to_restore(world.target(plan), doing="compare") as connection:
            check_owner(connection, plan.restore_id)
            tables = _tables(connection, plan, manifest, world)
            values = [*_of_sequences(connection, manifest), *_of_large_objects(connection, plan, manifest)]
            values += _of_views(connection, manifest)
            values += [f"The index {name} is not valid." for name in invalid_indexes(connection)]
    except psycopg.Error as error:
        raise refused(error, doing=f"comparing the database {plan.into}") from error
    schema, notes = _of_schema(plan, manifest, world)
    differences = [*(_sentence(table) for table in tables if not table.equal), *values, *schema]
    return Comparison(
        restore_id=plan.restore_id,
        compared_at=world.now(),
        proven=not differences,
        tables=tables,
        differences=tuple(differences),
        notes=(*notes, *_moved(tables)),
        schema_entries=plan.schema_entries,
        sequences=len(manifest.sequences),
        large_objects=len(manifest.large_objects),
    )


def _tables(connection: Connection, plan: RestorePlan, manifest: Manifest, world: World) -> tuple[TableProof, ...]:
    archived = _archived(plan, manifest, world)
    restored: dict[int, TableDigest] = defaultdict(TableDigest)
    for result in _results(plan, world):
        for part in result.digests:
            restored[part.table] += TableDigest.from_hex(part.rows, part.digest)
    proofs = []
    for group in _groups(connection, manifest):
        was = sum((archived[index] for index in group), TableDigest())
        is_ = sum((restored[index] for index in group), TableDigest())
        for index in group:
            content = manifest.contents[index]
            proofs.append(
                TableProof(
                    schema_name=content.schema_name,
                    name=content.name,
                    rows_archived=archived[index].rows,
                    rows_restored=restored[index].rows,
                    digest_archived=archived[index].hex,
                    digest_restored=restored[index].hex,
                    equal=was == is_,
                )
            )
    return tuple(proofs)


def _moved(tables: Iterable[TableProof]) -> Iterator[str]:
    for table in tables:
        if table.equal and table.digest_archived != table.digest_restored:
            yield (
                f"Rows of {table.schema_name}.{table.name} changed partitions: "
                "the hashes that partition them are others in each database."
            )


def _groups(connection: Connection, manifest: Manifest) -> list[list[int]]:
    """Return the contents by index; partitions whose rows may change places are compared together."""
    groups: dict[object, list[int]] = defaultdict(list)
    for index, content in enumerate(manifest.contents):
        root = hash_root(connection, content) if index < len(manifest.tables) else None
        groups[root or index].append(index)
    return list(groups.values())


def _archived(plan: RestorePlan, manifest: Manifest, world: World) -> list[TableDigest]:
    key = ArchiveKeys(manifest.database).of_point(manifest.point_id, VERIFICATION)
    verification = Verification.model_validate_json(world.archive.read(key))
    if verification.manifest_sha256 != plan.manifest.sha256:
        raise UnexpectedState(f"The verification of {manifest.point_id} changed during the restore.")
    found = {(item.schema_name, item.name): item for item in verification.tables}
    contents = [found[content.schema_name, content.name] for content in manifest.contents]
    return [TableDigest.from_hex(item.rows, item.digest) for item in contents]


def _results(plan: RestorePlan, world: World) -> Iterator[ProveResult]:
    expected = next(stage.batches for stage in plan.stages if stage.name == "prove")
    results = list(read_results(ProveResult, plan.restore_id, "prove", world))
    if len(results) != expected:
        raise UnexpectedState(f"{expected - len(results)} of {expected} batches were not read back.")
    return iter(results)


def _of_sequences(connection: Connection, manifest: Manifest) -> Iterator[str]:
    archived = {(item.schema_name, item.name): item for item in manifest.sequences}
    restored = sequence_values(connection, list(archived))
    yield from compare_values(
        "sequence",
        {f"{schema}.{name}": _value(item.value, item.called) for (schema, name), item in archived.items()},
        {f"{schema}.{name}": _value(item.value, item.called) for (schema, name), item in restored.items()},
    )


def _value(value: int, called: bool) -> str:
    return f"at {value}{'' if called else ' (not called yet)'}"


def _of_large_objects(connection: Connection, plan: RestorePlan, manifest: Manifest) -> Iterator[str]:
    foreign = set(plan.roles_foreign)
    archived = {
        str(item.oid): _described(item, plan.role if item.owner in foreign else item.owner)
        for item in manifest.large_objects
    }
    restored = {str(item.oid): _described(item, item.owner) for item in large_objects(connection)}
    for oid in sorted(archived.keys() | restored.keys()):
        if oid not in restored:
            yield f"The large object {oid} is missing."
        elif oid not in archived:
            yield f"The large object {oid} is not in the archive."
        elif archived[oid] != restored[oid]:
            yield f"The large object {oid} has another owner, other grants or another comment."


def _described(item: LargeObject, owner: str) -> tuple[object, ...]:
    """Return what has to be equal: who granted is not, for it may be the role that restored."""
    accesses = [read_aclitem(text) for text in item.acl]
    granted = {(access.grantee, access.rights) for access in accesses if access.grantee != item.owner}
    return owner, frozenset(granted), item.comment


def _of_views(connection: Connection, manifest: Manifest) -> Iterator[str]:
    populated = {(view.schema_name, view.name) for view in materialised_views(connection)}
    for view in manifest.materialised_views:
        if (view.schema_name, view.name) not in populated:
            yield f"The materialised view {view.schema_name}.{view.name} has not been refreshed."


def _of_schema(plan: RestorePlan, manifest: Manifest, world: World) -> tuple[list[str], list[str]]:
    """
    Return differences and notes.

    Another major version writes the same definition in other words, so there only what is missing counts.
    Settings of the database are notes where the target's role may not set them all.
    """
    before = read_toc(read_object(world.archive, manifest.schema_dump))
    after = read_toc(schema_of(world.target(plan)))
    (wanted, allowed), (found, found_allowed) = _comparable(plan, before), _comparable(plan, after)
    schema = compare_schemas(_owned(plan, wanted), found)
    optional = compare_schemas(_owned(plan, allowed), found_allowed)
    notes = [*optional.missing, *optional.other]
    database = list(_of_database(before, after))
    if plan.target_version // 10_000 != plan.source_version // 10_000:
        return [*schema.missing], [*schema.extra, *schema.other, *database, *notes]
    differences = [*schema.missing, *schema.extra, *schema.other]
    return (differences + database, notes) if plan.superuser else (differences, database + notes)


def _owned(plan: RestorePlan, entries: Iterable[TocEntry]) -> list[TocEntry]:
    """Return the archive's entries with the owners that they have after this restore."""
    foreign = set(plan.roles_foreign)
    return [replace(entry, owner=plan.role) if entry.owner in foreign else entry for entry in entries]


def _of_database(before: tuple[TocEntry, ...], after: tuple[TocEntry, ...]) -> Iterator[str]:
    was, is_ = (set(database_statements(entries, "it")) for entries in (before, after))
    for statement in sorted(was ^ is_):
        # What follows the setting's or right's name may be a value.
        said = " ".join(statement.split()[:5])
        yield f"A setting, grant or comment of the database is {'missing' if statement in was else 'new'}: {said} …"


def _comparable(plan: RestorePlan, entries: tuple[TocEntry, ...]) -> tuple[list[TocEntry], tuple[TocEntry, ...]]:
    """Return the entries that a restore runs, and those that it tries, by the rules that cut the archive's."""
    schema = plan_schema(entries, table_bytes={}, superuser=plan.superuser, foreign_roles=frozenset(plan.roles_foreign))
    restored = set(schema.restored)
    return [entry for entry in entries if entry.number in restored], schema.if_allowed


def _sentence(table: TableProof) -> str:
    name = f"{table.schema_name}.{table.name}"
    if table.rows_archived != table.rows_restored:
        return f"The table {name} has {table.rows_restored} rows; the archive has {table.rows_archived}."
    return f"The table {name} has the same number of rows as the archive, but other content."


def _drop_marks(plan: RestorePlan, world: World) -> None:
    try:
        # Event triggers are there by now, and what they would do with our statement is not known.
        quiet: dict[str, str] = {"session_replication_role": "replica"} if plan.superuser else {}
        with connect_to_restore(world.target(plan), doing="compare", **quiet) as connection:
            drop_marks(connection)
    except psycopg.Error as error:
        raise refused(error, doing="removing the marks of the restore") from error


def _proof(found: Comparison) -> Proof:
    rows = sum(table.rows_restored for table in found.tables)
    if found.proven:
        reason = f"{len(found.tables)} tables with {rows} rows, {found.sequences} sequences and the schema are equal."
    else:
        reason = f"{len(found.differences)} differences, the first: {found.differences[0]}"
    return Proof(
        restore_id=found.restore_id,
        proven=found.proven,
        reason=reason,
        tables=len(found.tables),
        rows=rows,
        differences=found.differences[:SHOWN],
    )
