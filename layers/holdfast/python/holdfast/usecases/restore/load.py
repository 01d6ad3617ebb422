"""Load chunks: each in one transaction that commits only what hashes to what the manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.existing import claim_empty
from holdfast.adapters.postgres.loading import CopyTarget, column_of_unknown_name, copy_in, copy_targets
from holdfast.adapters.postgres.marks import check_owner, done_marks, take
from holdfast.adapters.postgres.sending import connect_to_restore, refused_content, refusing
from holdfast.contracts.manifest import Chunk, TableContent
from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.restoring import BatchResult, ChunkToLoad, FinishBatch, LoadBatch, RestorePlan
from holdfast.contracts.work import Done
from holdfast.errors import ArchiveDamaged, ContentRefused, StillWorking
from holdfast.model.keys import ArchiveKeys
from holdfast.usecases.restore.batches import read_batch, write_result
from holdfast.usecases.restore.fetching import Fetching, Wanted
from holdfast.usecases.restore.world import World
from holdfast.usecases.verify.plan import described

RESERVE_SECONDS = 30.0
RESERVE_SHARE = 0.25
"""An invocation may be shorter than what it would like to keep for its end."""
_NAMES = (
    "Values of regclass and its like are names of tables, functions, types, roles or the like. Where a part is "
    "restored, choose what they name, too, or restore all of the point; else see which role or object the target lacks."
)
_PINS = (
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "extra_float_digits",
    "bytea_output",
    "lc_monetary",
)


def load(request: BatchRequest, world: World) -> Done:
    """
    Load one batch of chunks; may be repeated: a chunk whose mark is there is not loaded again.

    Raises `ArchiveDamaged` for a chunk that is not what the manifest says; nothing of it stays.
    """
    started, least = world.now(), reserve(world)
    batch = read_batch(LoadBatch, request, world)
    if batch is None:
        return Done()
    with world.counting(request.restore_id, f"load-{request.batch}"):
        load_chunks(batch, world.plan(request.restore_id), world, least=least)
    write_result(BatchResult(batch=batch.batch, started_at=started, finished_at=world.now()), request, world)
    return Done()


def reserve(world: World) -> float:
    """Return how many seconds of this invocation are kept to end it, as seen at its start."""
    return min(RESERVE_SECONDS, world.seconds_left() * RESERVE_SHARE)


def load_chunks(batch: LoadBatch | FinishBatch, plan: RestorePlan, world: World, *, least: float) -> None:
    """
    Load those of the batch's chunks that are not there yet.

    Raises `StillWorking` when there are no more than *least* seconds left; the next invocation goes on from there.
    """
    contents = batch.contents
    pins = {name: value for name, value in plan.settings.items() if name in _PINS}
    # Tables that were there before have their triggers and foreign keys already.
    pins |= {"session_replication_role": "replica"} if plan.part.quiet else {}
    pins["lock_timeout"] = plan.part.lock_timeout
    with refusing("loading"), connect_to_restore(world.target(plan), doing="load", **pins) as connection:
        check_owner(connection, plan.restore_id)
        done = done_marks(connection, [mark_of(item) for item in batch.chunks])
        left = [item for item in batch.chunks if mark_of(item) not in done]
        targets = _targets(connection, plan, {item.table: contents[item.table] for item in left})
        wanted = [wanted_chunk(plan, contents[item.table], item.chunk) for item in left]
        with Fetching(world.archive, wanted) as fetching:
            for at, item in enumerate(left):
                if world.seconds_left() <= least:
                    raise StillWorking("There was no time left for a chunk.")
                with _naming_the_chunk(contents[item.table], item.chunk), connection.transaction():
                    if take(connection, mark_of(item)):
                        if plan.part.rows_only:
                            claim_empty(connection, targets[item.table])
                        copy_chunk(connection, wanted[at], targets[item.table], fetching.blocks(at))


def mark_of(item: ChunkToLoad) -> str:
    """Return the mark of a chunk's transaction."""
    return f"load/{item.number:08d}"


def _targets(
    connection: Connection, plan: RestorePlan, contents: Mapping[int, TableContent]
) -> Mapping[int, CopyTarget]:
    # After the tables come what large objects hold, and their list.
    large_objects = plan.tables if plan.large_objects else None
    encoding = plan.settings["client_encoding"]
    return copy_targets(connection, contents, encoding=encoding, large_objects=large_objects)


def wanted_chunk(plan: RestorePlan, content: TableContent, chunk: Chunk) -> Wanted:
    """Return where *chunk* of *content* lies, and its name for people."""
    return Wanted(ArchiveKeys(plan.database).chunk(chunk.sha256), chunk, described(content, chunk))


@contextmanager
def _naming_the_chunk(content: TableContent, chunk: Chunk) -> Iterator[None]:
    """Raise our errors for those of PostgreSQL within the block, which loads *chunk* of *content*."""
    try:
        yield
    except psycopg.Error as error:
        if column := column_of_unknown_name(error, content.columns):
            raise _unknown_name(error, column, content) from error
        raise refused_content(error, doing=f"loading {described(content, chunk)}") from error


def _unknown_name(error: psycopg.Error, column: str, content: TableContent) -> ContentRefused:
    found = ContentRefused(
        f"A value in the column {column} of the table {content.schema_name}.{content.name} names something that the "
        f"target does not have ({error.sqlstate}).",
        hint=_NAMES,
    )
    found.ids["sqlstate"] = error.sqlstate
    return found


def copy_chunk(
    connection: Connection, wanted: Wanted, target: CopyTarget, fetched: AbstractContextManager[Iterator[bytes]]
) -> None:
    """Copy the chunk's rows in the running transaction, which must not commit when this raises `ArchiveDamaged`."""
    with fetched as blocks:
        rows = copy_in(connection, target, blocks)
    if rows != wanted.chunk.rows:
        raise ArchiveDamaged(
            f"The chunk of {wanted.what} has {rows} rows; the manifest says {wanted.chunk.rows}.", key=wanted.key
        )
