"""Read ranges of the restored tables back and digest their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.copying import has_positions, position_query, range_query, within
from holdfast.adapters.postgres.large_objects import CATALOGUE, PAGES, PIECE, can_read_pages, pages_query
from holdfast.adapters.postgres.marks import blocks_once
from holdfast.adapters.postgres.quoting import qualified
from holdfast.adapters.postgres.read_back import ReadBack
from holdfast.adapters.postgres.reading import PAGE, pages_one_by_one
from holdfast.adapters.postgres.restored_objects import empty_pages, list_read_back
from holdfast.adapters.postgres.sending import connect_to_restore, refused
from holdfast.archive.digest import RowDigest, TableDigest
from holdfast.contracts.documents import PartialDigest, RangePlan
from holdfast.contracts.manifest import TableContent
from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.restoring import PartToProve, ProveBatch, ProveProgress, ProveResult, RestorePlan
from holdfast.contracts.work import Done
from holdfast.errors import StillWorking, TargetIncompatible, Transient
from holdfast.model.keys import RunKeys
from holdfast.model.slices import pack
from holdfast.usecases.restore.batches import read_batch, write_result
from holdfast.usecases.restore.world import World

RESERVE_SECONDS = 30.0
RESERVE_SHARE = 0.25
"""An invocation may be shorter than what it would like to keep for its end."""
MOST_FRUITLESS = 3
TOGETHER = 50
"""Small shares that are asked for in one message."""
SMALL_BYTES = 1 << 20
"""Of all of those together."""


@dataclass(frozen=True, slots=True)
class Share:
    """What reads about *bytes* of a table back; *planned* where rows come in the order of their places."""

    table: int
    query: str
    bytes: int
    planned: RangePlan | None = None


def prove(request: BatchRequest, world: World) -> Done:
    """
    Digest one batch of shares of tables and write what they add up to; may be repeated.

    Raises `StillWorking` when time is up, with all that was read written down; so it is when a connection breaks.
    """
    started, least = world.now(), min(RESERVE_SECONDS, world.seconds_left() * RESERVE_SHARE)
    batch = read_batch(ProveBatch, request, world)
    if batch is None:
        return Done()
    plan = world.plan(request.restore_id)
    parameters, key = world.target(plan), world.digest_keys.digest_key(plan.database)
    with connect_to_restore(parameters, doing="prove") as connection:
        shares = [_share(connection, plan, batch.contents[part.table], part) for part in batch.parts]
    progress = RunKeys("restore", request.restore_id).partial(request.stage, request.batch)
    with ReadBack(parameters, plan.settings, seconds_left=lambda: world.seconds_left() - least) as session:
        digests = _all(shares, _Reading(session, key), progress, world)
    result = ProveResult(batch=batch.batch, digests=digests, started_at=started, finished_at=world.now())
    write_result(result, request, world)
    return Done()


def _all(shares: Sequence[Share], reading: _Reading, key: str, world: World) -> tuple[PartialDigest, ...]:
    """Return the digests of *shares*, going on where the progress under *key* says that an invocation ended."""
    before = world.find(ProveProgress, key) or ProveProgress()
    digests, begun = list(before.digests), before.begun
    for share, ask in _together(shares[len(digests) :], begun):
        found, failure = reading.digest(share, begun, ask)
        if failure is None:
            digests.append(found)
            begun = None
            continue
        now = ProveProgress(digests=tuple(digests), begun=found if share.planned and found.rows else None)
        _keep(before, now, key, world, out_of_time=isinstance(failure, StillWorking))
        raise failure
    return tuple(digests)


def _together(shares: Sequence[Share], begun: PartialDigest | None) -> Iterator[tuple[Share, Sequence[str]]]:
    """Yield each share with the queries to ask before it is read: those of small shares at once, by the first."""
    first = 1 if begun else 0
    yield from ((share, ()) for share in shares[:first])
    for group in pack(shares[first:], lambda share: share.bytes, SMALL_BYTES, TOGETHER):
        queries = [share.query for share in group]
        yield from ((share, queries if share is group[0] else ()) for share in group)


def _keep(before: ProveProgress, now: ProveProgress, key: str, world: World, *, out_of_time: bool) -> None:
    """Write down what was read; raises `TargetIncompatible` when three invocations in a row brought nothing."""
    unchanged = (now.digests, now.begun) == (before.digests, before.begun)
    fruitless = before.fruitless + out_of_time if unchanged else 0
    world.write(key, now.model_copy(update={"fruitless": fruitless}))
    if fruitless >= MOST_FRUITLESS:
        raise TargetIncompatible(
            f"{fruitless} invocations in a row could not read one row more back.",
            hint="Find out what makes the server or the way to it so slow, or give functions.timeout_seconds more.",
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads shares back in one session."""

    session: ReadBack
    key: bytes

    def digest(
        self, share: Share, begun: PartialDigest | None, ask: Sequence[str]
    ) -> tuple[PartialDigest, Transient | None]:
        """Return the digest of the share's rows, or of the first ones and what kept us from the others."""
        former = TableDigest.from_hex(begun.rows, begun.digest) if begun else TableDigest()
        digest, failure = RowDigest(self.key), None
        try:
            for block in self._rest(share, begun.rows) if begun else self.session.answer(after_asking=ask):
                digest.update(block)
            found = digest.finish()
        except Transient as error:
            found, failure = digest.so_far(), error
        found += former
        return PartialDigest(table=share.table, rows=found.rows, digest=found.hex), failure

    def _rest(self, share: Share, skipped: int) -> Iterator[bytes]:
        """Yield the rows after the first *skipped*."""
        assert share.planned is not None  # noqa: S101  # others are never begun
        start = b"".join(self.session.rows(position_query(share.planned, skipped))).decode().strip()
        if start:
            yield from self.session.rows(range_query(share.planned, start))


def share(blocks: int, part: int, parts: int) -> tuple[int, int | None]:
    """Return the first block of the *part*-th of *parts* shares of a table, and where it ends; the last has no end."""
    return blocks * part // parts, None if part == parts - 1 else blocks * (part + 1) // parts


def _share(connection: Connection, plan: RestorePlan, content: TableContent, part: PartToProve) -> Share:
    """Return what reads the share: the same columns in the same form as they were archived."""
    size = content.plain // part.parts
    try:
        if part.table == plan.tables + 1:
            return Share(part.table, list_read_back(part.part, part.parts), size)
        if part.table == plan.tables:
            return Share(part.table, _large_objects(connection, content, part), size)
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
        bytes=size,
    )
    return Share(part.table, range_query(planned), size, planned if has_positions(planned) else None)


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
