"""Read ranges of the restored tables back and digest their rows."""

from __future__ import annotations

import psycopg

from holdfast.adapters.postgres.connect import Connection, ConnectionParameters
from holdfast.adapters.postgres.copying import range_query, within
from holdfast.adapters.postgres.large_objects import CATALOGUE, PAGES, PIECE, can_read_pages, pages_query
from holdfast.adapters.postgres.marks import blocks_once
from holdfast.adapters.postgres.quoting import qualified
from holdfast.adapters.postgres.reading import PAGE, pages_one_by_one, rows
from holdfast.adapters.postgres.restored_objects import empty_pages, list_read_back
from holdfast.adapters.postgres.sending import connect_to_restore, refused
from holdfast.archive.digest import RowDigest
from holdfast.contracts.documents import PartialDigest, RangePlan
from holdfast.contracts.manifest import Manifest, TableContent
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
    with world.counting(plan.restore_id, f"prove-{request.batch}"):
        manifest, parameters = world.manifest(plan), world.target(plan)
    key = world.digest_keys.digest_key(manifest.database)
    with connect_to_restore(parameters, doing="prove") as connection:
        queries = [_query(connection, manifest, part) for part in batch.parts]
    digests = tuple(
        _digest(parameters, manifest, query, part.table, key) for query, part in zip(queries, batch.parts, strict=True)
    )
    result = ProveResult(batch=batch.batch, digests=digests, started_at=started, finished_at=world.now())
    write_result(result, request, world)
    return Done()


def share(blocks: int, part: int, parts: int) -> tuple[int, int | None]:
    """Return the first block of the *part*-th of *parts* shares of a table, and where it ends; the last has no end."""
    return blocks * part // parts, None if part == parts - 1 else blocks * (part + 1) // parts


def _query(connection: Connection, manifest: Manifest, part: PartToProve) -> str:
    """Return what reads the share: the same columns in the same form as they were archived."""
    content = manifest.contents[part.table]
    try:
        if part.table == len(manifest.tables) + 1:
            return list_read_back(part.part, part.parts)
        if part.table == len(manifest.tables):
            return _large_objects(connection, content, part)
        name = qualified(content.schema_name, content.name)
        blocks = blocks_once(connection, part.table, name) if part.parts > 1 else 0
    except psycopg.Error as error:
        raise refused(error, doing=f"measuring {content.schema_name}.{content.name}") from error
    first, end = share(blocks, part.part, part.parts)
    planned = RangePlan(
        table=part.table,
        schema_name=content.schema_name,
        name=content.name,
        columns=content.columns,
        condition=content.condition,
        first_block=first,
        end_block=end,
        bytes=content.plain // part.parts,
    )
    return range_query(planned)


def _large_objects(connection: Connection, content: TableContent, part: PartToProve) -> str:
    """Return what reads pages, or pieces, like those that were archived; empty pages may be gaps here."""
    by_pages = content.name == PAGES and can_read_pages(connection)
    if by_pages:
        blocks = blocks_once(connection, part.table, f"{CATALOGUE}.{PAGES}") if part.parts > 1 else 0
        query = pages_query(within(*share(blocks, part.part, part.parts)))
    else:
        piece = PAGE if content.name == PAGES else PIECE
        query = pages_one_by_one(content.columns, part.part, part.parts, piece=piece)
    if content.name != PAGES or part.part:
        return query
    return f"{query} UNION ALL {empty_pages(by_pages=by_pages)}"


def _digest(parameters: ConnectionParameters, manifest: Manifest, query: str, table: int, key: bytes) -> PartialDigest:
    digest = RowDigest(key)
    for block in rows(parameters, query, manifest.settings):
        digest.update(block)
    found = digest.finish()
    return PartialDigest(table=table, rows=found.rows, digest=found.hex)
