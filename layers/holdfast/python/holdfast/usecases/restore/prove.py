"""Read ranges of the restored tables back and digest their rows."""

from __future__ import annotations

import psycopg

from holdfast.adapters.postgres.connect import Connection, ConnectionParameters
from holdfast.adapters.postgres.copying import LARGE_OBJECTS, range_query
from holdfast.adapters.postgres.reading import blocks_of, rows
from holdfast.adapters.postgres.sending import connect_to_restore, refused
from holdfast.archive.digest import RowDigest
from holdfast.contracts.documents import PartialDigest, RangePlan
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.restoring import PartToProve, ProveBatch, ProveResult
from holdfast.contracts.work import Done
from holdfast.usecases.restore.batches import read_batch, write_result
from holdfast.usecases.restore.world import World


def prove(request: BatchRequest, world: World) -> Done:
    """Digest one batch of shares of tables and write what they add up to; may be repeated."""
    started = world.now()
    batch = read_batch(ProveBatch, request, world)
    if batch is None:
        return Done()
    plan = world.plan(request.restore_id)
    manifest, parameters = world.manifest(plan), world.target(plan)
    key = world.digest_keys.digest_key(manifest.database)
    with connect_to_restore(parameters, doing="prove") as connection:
        ranges = [_range(connection, manifest, part) for part in batch.parts]
    digests = tuple(
        _digest(parameters, manifest, planned, part.table, key)
        for planned, part in zip(ranges, batch.parts, strict=True)
    )
    result = ProveResult(batch=batch.batch, digests=digests, started_at=started, finished_at=world.now())
    write_result(result, request, world)
    return Done()


def share(blocks: int, part: int, parts: int) -> tuple[int, int | None]:
    """Return the first block of the *part*-th of *parts* shares of a table, and where it ends; the last has no end."""
    return blocks * part // parts, None if part == parts - 1 else blocks * (part + 1) // parts


def _range(connection: Connection, manifest: Manifest, part: PartToProve) -> RangePlan:
    content = manifest.contents[part.table]
    large_objects = part.table == len(manifest.tables)
    schema, name = ("pg_catalog", "pg_largeobject") if large_objects else (content.schema_name, content.name)
    try:
        blocks = blocks_of(connection, schema, name) if part.parts > 1 else 0
    except psycopg.Error as error:
        raise refused(error, doing=f"measuring {schema}.{name}") from error
    first, end = share(blocks, part.part, part.parts)
    return RangePlan(
        table=LARGE_OBJECTS if large_objects else part.table,
        schema_name=content.schema_name,
        name=content.name,
        columns=content.columns,
        condition=content.condition,
        first_block=first,
        end_block=end,
        bytes=content.plain // part.parts,
    )


def _digest(
    parameters: ConnectionParameters, manifest: Manifest, planned: RangePlan, table: int, key: bytes
) -> PartialDigest:
    digest = RowDigest(key)
    for block in rows(parameters, range_query(planned), manifest.settings):
        digest.update(block)
    found = digest.finish()
    return PartialDigest(table=table, rows=found.rows, digest=found.hex)
