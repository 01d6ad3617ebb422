"""Add up what was read back, and compare everything with the archive."""

from __future__ import annotations

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint import fingerprint, same_structure
from holdfast.adapters.postgres.marks import check_owner, drop_marks
from holdfast.adapters.postgres.sending import connect_to_restore, refused
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.restore import Proof, RestoreStep
from holdfast.contracts.restoring import Comparison, RestorePlan
from holdfast.errors import Transient
from holdfast.model.keys import RunKeys
from holdfast.model.restoring import MARKS_SCHEMA
from holdfast.usecases.restore.definitions import compare_definitions
from holdfast.usecases.restore.following import step_limit
from holdfast.usecases.restore.roles import archived_roles, differences_of_created
from holdfast.usecases.restore.tallies import difference_of, notes_of_moves, prove_tables
from holdfast.usecases.restore.values import differences_of_values, notes_of_values
from holdfast.usecases.restore.world import World

COMPARISON = "comparison.json"
EVENT_TRIGGERS_OFF = 170_000
"""The first version in which a session can do without event triggers."""
SHOWN = 20
"""Differences in the answer; the report has all of them."""


def compare(request: RestoreStep, world: World) -> Proof:
    """
    Return whether the restored database equals the archive, and drop the marks when it does.

    May be repeated: what was compared once stays compared, since the database is the user's from then on. Raises
    `StepTooLong` when the definitions cannot be read and compared within the invocation.
    """
    plan = world.plan(request.restore_id)
    key = RunKeys("restore", plan.restore_id).document(COMPARISON)
    found = world.find(Comparison, key)
    if found is None or not found.proven:
        with world.counting(plan.restore_id, "compare"):
            found = _compare(plan, world)
        world.write(key, found)
    if found.proven and (note := _drop_marks(plan, world)) and note not in found.notes:
        found = found.model_copy(update={"notes": (*found.notes, note)})
        world.write(key, found)
    return _proof(found)


def _compare(plan: RestorePlan, world: World) -> Comparison:
    manifest, limit = world.manifest(plan), step_limit(world)
    doing = f"comparing the database {plan.into}"
    patience = plan.part.lock_timeout
    try:
        with (
            connect_to_restore(world.target(plan), doing="compare", lock_timeout=patience) as connection,
            limit.around(doing, connection),
        ):
            check_owner(connection, plan.restore_id)
            tables = prove_tables(connection, plan, manifest, world)
            values = list(differences_of_values(connection, plan, manifest))
            aside = list(notes_of_values(connection, manifest))
            schema, notes = compare_definitions(connection, plan, manifest, world, seconds_left=limit.left)
            if plan.part.rows_only:
                notes.append(_of_fingerprint(connection, plan, manifest))
            notes += differences_of_created(connection, plan, archived_roles(manifest, world.archive))
    except psycopg.Error as error:
        raise refused(error, doing=doing) from error
    differences = [*(difference_of(table) for table in tables if not table.equal), *values, *schema]
    return Comparison(
        restore_id=plan.restore_id,
        compared_at=world.now(),
        proven=not differences,
        tables=tables,
        differences=tuple(differences),
        notes=(*notes, *aside, *notes_of_moves(tables)),
        schema_entries=plan.schema_entries,
        sequences=len(manifest.sequences),
        large_objects=manifest.large_objects.listed.rows if manifest.large_objects else 0,
    )


def _of_fingerprint(connection: Connection, plan: RestorePlan, manifest: Manifest) -> str:
    """Return what is known of the definitions, of which only rows were restored into the database's own."""
    said = "Rows alone were restored: definitions were not compared"
    comparable = not plan.other_major and not manifest.schema_fingerprint.startswith("dump:")
    if comparable and same_structure(fingerprint(connection), manifest.schema_fingerprint):
        return f"{said}, but the schema's fingerprint is the point's own."
    return f"{said}."


def _drop_marks(plan: RestorePlan, world: World) -> str:
    """Drop the marks; returns a note when the database does not let us, for the proof stands all the same."""
    try:
        with connect_to_restore(
            world.target(plan), doing="compare", lock_timeout=plan.part.lock_timeout, **_quiet(plan)
        ) as connection:
            drop_marks(connection)
    except psycopg.Error as error:
        if isinstance(found := refused(error, doing="removing the marks of the restore"), Transient):
            raise found from error
        return (
            f"The schema {MARKS_SCHEMA} could not be dropped ({error.sqlstate}), perhaps for an event trigger: "
            "drop it yourself."
        )
    return ""


def _quiet(plan: RestorePlan) -> dict[str, str]:
    """Return what keeps event triggers still: they are there by now, and nobody knows what they would do."""
    if not plan.superuser:
        return {}
    switched_off = {"event_triggers": "off"} if plan.target_version >= EVENT_TRIGGERS_OFF else {}
    return {"session_replication_role": "replica", **switched_off}


def _proof(found: Comparison) -> Proof:
    rows = sum(table.rows_restored for table in found.tables)
    if found.proven:
        reason = f"{len(found.tables)} tables with {rows} rows, {found.sequences} sequences and the schema are equal."
    else:
        more = len(found.differences) - 1
        reason = found.differences[0] + (f" And {more} more difference{'s' if more > 1 else ''}." if more else "")
    return Proof(
        restore_id=found.restore_id,
        proven=found.proven,
        reason=reason,
        tables=len(found.tables),
        rows=rows,
        differences=found.differences[:SHOWN],
    )
