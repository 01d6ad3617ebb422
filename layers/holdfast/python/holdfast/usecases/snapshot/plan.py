"""Plan a backup: list under the snapshot what there is to copy, and cut it into batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import psycopg
from psycopg import errors
from pydantic import ValidationError

from holdfast.adapters.postgres import facts, large_objects, relations
from holdfast.adapters.postgres.checks import TID_RANGES_SINCE
from holdfast.adapters.postgres.connect import Connection, connect_to_source, set_where_known, translate
from holdfast.adapters.postgres.copying import pins
from holdfast.adapters.postgres.selecting import choose
from holdfast.adapters.postgres.sequences import sequences
from holdfast.adapters.postgres.snapshots import begin_imported
from holdfast.contracts.backup import DumpRequest, Planned, PlanRequest
from holdfast.contracts.documents import BackupPlan, DumpBatch, RangePlan, Steps, TablePlan
from holdfast.contracts.manifest import Snapshot, Source
from holdfast.contracts.selection import Selection
from holdfast.contracts.work import Items
from holdfast.errors import ManifestTooLarge, SchemaChanged
from holdfast.model.keys import RunKeys, steps_key
from holdfast.model.planning import CHUNK_BYTES, MEBIBYTE, Piece, Sized, cut_by_id, group, ids_per_range, plan_pieces
from holdfast.model.points import Kind
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Hold
from holdfast.ports.storage import Scratch
from holdfast.usecases.snapshot.access import SnapshotAccess
from holdfast.usecases.snapshot.blaming import blaming_changes
from holdfast.usecases.snapshot.copy import STAGE
from holdfast.usecases.snapshot.definitions import Definitions, definitions
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.time_limit import TimeLimit

PLAN = "plan.json"
MEMORY_MB = 1769
"""Of the functions that seal, plan and conclude, unless configured otherwise."""
OWN_MEMORY_BYTES = 256 * MEBIBYTE
"""What such a function takes beside the manifest."""
CHUNK_MEMORY_BYTES = 4096
"""
Of memory for each chunk: 1.3 KB as an object, 0.9 KB while the manifest is written, and 1.5 KB more for one that a
former sealing wrote, to compare it with.
"""
_WRITERS = 16
SETTINGS = {
    "lock_timeout": "30s",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "5min",
}
"""Of sessions that read catalogues; a role's own limits may be meant for the application's short queries."""
LISTED_BYTES = 64
"""About what owner, access list and comment of one large object take."""


def plan_backup(
    request: PlanRequest,
    *,
    kind: str = Kind.FULL,
    protected: Protected,
    access: SnapshotAccess,
    scratch: Scratch,
    seconds_left: Callable[[], float],
    memory_mb: int = MEMORY_MB,
) -> Planned:
    """
    Write one document per batch, `plan.json` and the Map's items to the scratch bucket, for a point of *kind*.

    May be repeated, and run twice at once: a planner whose network stalls lives on when the state machine has begun
    another. Sizes are read as they are now, so each cuts in its own way, and its batches lie below the id of its plan.
    The first to write `plan.json` has planned the attempt, for ever; whoever is later answers with that plan.

    Raises `SchemaChanged` when a migration runs right now (`BackupYielded` where another attempt follows),
    `SchemaTooLarge` when the definitions cannot be read in the time that *seconds_left* tells, and `ManifestTooLarge`
    when functions of *memory_mb* could not read the manifest.
    """
    existing = read_plan(scratch, request.run)
    if existing is not None:
        return _planned(request, existing, scratch)
    limit = TimeLimit(protected.parameters, name=protected.name, point_id=request.point_id, seconds_left=seconds_left)
    plan, objects = access.using(lambda hold: _listed(request, kind, hold, protected, limit))
    pieces = [*_table_pieces(plan, scratch), *objects]
    _refuse_unreadable(pieces, memory_mb, plan.database)
    groups = [[], *group(pieces, workers=request.concurrency)]
    complete = plan.model_copy(
        update={"batches": len(groups), "ranges": len(pieces), "bytes": sum(piece.bytes for piece in pieces)}
    )
    complete = complete.model_copy(update={"id": _id(complete, groups)})
    _write_batches(complete, groups, request, scratch)
    # After its batches: the plan that is found is complete.
    scratch.create(RunKeys("backup", request.run).document(PLAN), complete.model_dump_json().encode())
    counts = read_plan(scratch, request.run) or complete
    if counts.id == complete.id:
        _note_steps(complete, pieces, scratch)
    return _planned(request, counts, scratch)


def _refuse_unreadable(pieces: Iterable[Piece], memory_mb: int, database: str) -> None:
    """Refuse before hours of copying what sealing, checking and restoring could not read: they hold every chunk."""
    chunks = sum(max(1, -(-piece.bytes // CHUNK_BYTES)) for piece in pieces)
    most = max(0, memory_mb * MEBIBYTE - OWN_MEMORY_BYTES) // CHUNK_MEMORY_BYTES
    if chunks > most:
        needed = -(-(chunks * CHUNK_MEMORY_BYTES + OWN_MEMORY_BYTES) // MEBIBYTE)
        raise ManifestTooLarge(
            f"A backup of {database} would have about {chunks} chunks, whose list takes {needed} MB of memory; "
            f"functions that read it have {memory_mb} MB."
        )


def _id(plan: BackupPlan, groups: Sequence[Sequence[Piece]]) -> str:
    """Return what names the plan: the same for the same plan, cut the same way, and for no other."""
    digest = hashlib.sha256(plan.model_dump_json().encode())
    for pieces in groups:
        cuts = [(one.table, one.range.first, one.range.end, one.bytes) for one in pieces]
        digest.update(json.dumps(cuts).encode())
    return digest.hexdigest()[:32]


def _table_pieces(plan: BackupPlan, scratch: Scratch) -> list[Piece]:
    """
    Cut the tables as the last backup did where that still fits.

    How it did is noted in the scratch bucket: where the note has expired, tables whose rows became much wider or
    narrower since are cut and stored anew, and nothing else happens.
    """
    steps = {(schema, name): step for schema, name, step in _noted(plan.database, scratch).tables}
    sizes = [Sized(table.blocks, table.bytes) for table in plan.tables]
    former = {
        number: steps[table.schema_name, table.name]
        for number, table in enumerate(plan.tables)
        if (table.schema_name, table.name) in steps
    }
    return plan_pieces(sizes, by_blocks=plan.source.server_version >= TID_RANGES_SINCE, former=former)


def _noted(database: str, scratch: Scratch) -> Steps:
    """Return the note; what nobody can read is as good as none."""
    body = scratch.read(steps_key(database))
    with suppress(ValidationError):
        return Steps.model_validate_json(body or b"{}")
    return Steps()


def _note_steps(plan: BackupPlan, pieces: Iterable[Piece], scratch: Scratch) -> None:
    """
    Note how the tables of *plan* were cut: theirs alone, so that what was dropped is forgotten.

    Only for a plan that counts, and never over the note of a later backup: an invocation that was taken for dead may
    come to this long after.
    """
    steps = [
        (plan.tables[piece.table].schema_name, plan.tables[piece.table].name, piece.range.end)
        for piece in pieces
        if piece.table >= 0 and piece.range.first == 0 and piece.range.end is not None
    ]
    if plan.tables and _noted(plan.database, scratch).point_id <= plan.point_id:
        now = Steps(point_id=plan.point_id, tables=tuple(sorted(steps)))
        scratch.write(steps_key(plan.database), now.model_dump_json().encode())


def _write_batches(plan: BackupPlan, groups: Sequence[Sequence[Piece]], request: PlanRequest, scratch: Scratch) -> None:
    """Write the schema's batch and those of pieces, of this plan alone. Each is made as written: all are large."""
    keys = RunKeys("backup", request.run)
    common: dict[str, Any] = {"plan": plan.id, "taken_at": plan.snapshot.taken_at, "settings": plan.settings}

    def write(number: int, grouped: Sequence[Piece]) -> None:
        ranges = tuple(_range(plan, piece) for piece in grouped)
        batch = DumpBatch(batch=number, schema_dump=number == 0, ranges=ranges, **common)
        scratch.write(keys.batch(STAGE, number, plan.id), batch.model_dump_json().encode())

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(write, range(len(groups)), groups))


def _planned(request: PlanRequest, plan: BackupPlan, scratch: Scratch) -> Planned:
    """Write the items of the attempt's plan, whoever planned it: they follow from it, so they are always the same."""
    key = RunKeys("backup", request.run).items(STAGE)
    common = {"database": request.database, "point_id": request.point_id, "attempt": request.attempt, "plan": plan.id}
    items = [DumpRequest.model_validate({**common, "batch": number}) for number in range(plan.batches)]
    scratch.write(key, json.dumps([item.model_dump(mode="json") for item in items]).encode())
    found = Items(bucket=scratch.bucket, key=key, count=plan.batches, bytes=plan.bytes)
    return Planned(database=request.database, point_id=request.point_id, items=found)


def _listed(
    request: PlanRequest, kind: str, hold: Hold, protected: Protected, limit: TimeLimit
) -> tuple[BackupPlan, list[Piece]]:
    """Return the plan without its batches, and the pieces of large objects, as of the snapshot."""
    try:
        return _listed_once(request, kind, hold, protected, limit)
    except errors.InternalError_ as error:
        # The server says so when something that the snapshot sees was dropped.
        raise SchemaChanged("The schema changed while the backup was planned: something was dropped.") from error
    except psycopg.Error as error:
        raise translate(error, doing="planning the backup") from error


def _listed_once(
    request: PlanRequest, kind: str, hold: Hold, protected: Protected, limit: TimeLimit
) -> tuple[BackupPlan, list[Piece]]:
    name = session_name("plan", request.point_id)
    with (
        connect_to_source(protected.parameters, application_name=name) as session,
        limit.around("planning the backup", session),
    ):
        set_where_known(session, {**SETTINGS, **limit.settings})
        begin_imported(session, hold.snapshot, hold.server)
        source = facts.source(session)
        define = partial(definitions, session, protected, encoding=source.encoding, application_name=name, limit=limit)
        with blaming_changes(protected.parameters, hold):
            before = define(snapshot=hold.snapshot)
        listed = _read(session, request, kind, hold, selection=protected.selection, source=source, before=before)
        session.execute("COMMIT")
        # Definitions of views and functions are always read as they are now, so both must agree.
        if kinds := before.gone_from(define()):
            raise SchemaChanged(f"The schema changed while the backup was planned: {kinds}.")
        return listed


def _read(
    session: Connection,
    request: PlanRequest,
    kind: str,
    hold: Hold,
    *,
    selection: Selection,
    source: Source,
    before: Definitions,
) -> tuple[BackupPlan, list[Piece]]:
    rows, chosen = kind != Kind.SCHEMA, choose(session, selection)
    tables = relations.tables(session, chosen) if rows else ()
    objects = large_objects.large_object_facts(session)
    with_objects = rows and objects.count > 0 and not selection.by_name
    without = [table.name for table in relations.lockable(session, selection) if table.oid in chosen.without_rows]
    plan = BackupPlan(
        id="",
        point_id=request.point_id,
        database=request.database,
        kind=kind,
        selection=selection,
        without_rows=tuple((name.schema, name.name) for name in without) if rows else (),
        source=source,
        snapshot=Snapshot(taken_at=hold.taken_at, lsn=hold.lsn),
        settings=pins(source.encoding),
        tables=tuple(_table(table) for table in tables),
        large_object_owners=objects.owners if with_objects else None,
        large_objects_from=large_objects.PAGES if objects.by_pages else large_objects.PIECES,
        extensions=() if selection.by_name else facts.extensions(session),
        roles=facts.roles(session),
        materialised_views=before.of_kind("MATERIALIZED VIEW", facts.materialised_views(session)) if rows else (),
        sequences=before.of_kind("SEQUENCE", sequences(session)) if rows else (),
        fingerprint=before.fingerprint,
        batches=0,
        ranges=0,
    )
    by_blocks = source.server_version >= TID_RANGES_SINCE
    return plan, _large_object_pieces(session, objects, by_blocks=by_blocks) if with_objects else []


def _large_object_pieces(session: Connection, facts: large_objects.LargeObjectFacts, *, by_blocks: bool) -> list[Piece]:
    """Cut the objects like a table where their pages can be read as one, else by their ids; and their list by ids."""
    if facts.by_pages:
        cut = plan_pieces([facts.size], by_blocks=by_blocks)
        pieces = [Piece(large_objects.CONTENT, piece.range, piece.bytes) for piece in cut]
    else:
        firsts = large_objects.first_ids(session, ids_per_range(facts.count, facts.size.bytes))
        pieces = cut_by_id(large_objects.CONTENT, firsts, facts.size.bytes)
    listed = large_objects.first_ids(session, large_objects.LISTED_AT_ONCE)
    return pieces + cut_by_id(large_objects.LIST, listed, facts.count * LISTED_BYTES)


def _table(table: relations.TableFacts) -> TablePlan:
    name = table.relation.name
    return TablePlan(
        schema_name=name.schema,
        name=name.name,
        oid=table.relation.oid,
        columns=table.columns,
        types=table.types,
        condition=table.condition,
        load_into=table.root,
        blocks=table.blocks,
        bytes=table.bytes,
    )


def _range(plan: BackupPlan, piece: Piece) -> RangePlan:
    oid = 0
    if piece.table >= 0:
        table = plan.tables[piece.table]
        schema, name, columns, condition = table.schema_name, table.name, table.columns, table.condition
        oid = table.oid
    elif piece.table == large_objects.CONTENT:
        name, columns = plan.large_objects_from, large_objects.CONTENT_COLUMNS
        schema, condition = large_objects.CATALOGUE, ""
    else:
        name, columns = large_objects.LISTED_IN, large_objects.LIST_COLUMNS
        schema, condition = large_objects.CATALOGUE, ""
    return RangePlan(
        table=piece.table,
        schema_name=schema,
        name=name,
        oid=oid,
        columns=columns,
        condition=condition,
        first_block=piece.range.first,
        end_block=piece.range.end,
        bytes=piece.bytes,
    )


def read_plan(scratch: Scratch, run: str) -> BackupPlan | None:
    """Return the plan of a backup, if it was written."""
    body = scratch.read(RunKeys("backup", run).document(PLAN))
    return None if body is None else BackupPlan.model_validate_json(body)
