"""
Cut tables into block ranges and group the ranges into batches.

Boundaries are multiples of a power of two of blocks, the same in every backup: a part of a table that did
not change yields the same bytes again, and the archive holds them already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from holdfast.model.tables import BlockRange

MEBIBYTE = 1 << 20
CHUNK_BYTES = 32 * MEBIBYTE
"""Most plain bytes of one chunk, unless a single row is longer."""

MOST_BLOCKS = 4096
"""Blocks of an ordinary range: 32 MiB of heap in blocks of 8 KiB."""

RANGE_BYTES = 64 * MEBIBYTE
"""Most estimated bytes of a range, out-of-line values included, before its blocks are halved."""

SLACK = 4
"""How many times too large or too small ranges must be before they are cut anew."""

STATEMENT_COST = MEBIBYTE // 4
"""What one COPY costs beside its rows, as bytes, so that a thousand empty tables are no empty batch."""

SMALLEST_BATCH = 64 * MEBIBYTE
LARGEST_BATCH = 1024 * MEBIBYTE
ROUNDS = 3
"""Batches for each worker: fewer leave workers idle at the end, more start functions for nothing."""

MOST_BATCHES = 9_000
"""
A distributed Map takes 10,000 items. So beyond 9 TB batches grow, to 11 GB at 100 TB: minutes of work, and a batch
that outlives its function goes on in the next invocation, so that its size is no limit.
"""


@dataclass(frozen=True, slots=True)
class Sized:
    """A table's heap in *blocks* and all of its bytes, out-of-line values included, read after the snapshot."""

    blocks: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One range of the table with index *table*, and its estimated bytes."""

    table: int
    range: BlockRange
    bytes: int


def blocks_per_range(size: Sized, former: int | None = None) -> int:
    """
    Return how many blocks a range of the table has: 4096, or a smaller power of two for wide rows.

    Large values lie outside the heap, so a heap of some blocks may stand for gigabytes. Their share changes as rows
    come and go, and other boundaries would store the whole table anew: the *former* number stays while it is not four
    times too large or too small.
    """
    step = MOST_BLOCKS
    while step > 1 and size.bytes * step > RANGE_BYTES * max(size.blocks, 1):
        step //= 2
    return former if former and former < SLACK * step and step < SLACK * former else step


def cut(table: int, size: Sized, *, by_blocks: bool, former: int | None = None) -> list[Piece]:
    """
    Cut a table into ranges that cover every block once; the last has no end.

    Without *by_blocks* (a server that cannot scan ranges of TIDs) the whole table is one range. *former* is the number
    of blocks that the last backup cut it by.
    """
    step = blocks_per_range(size, former)
    if not by_blocks or size.blocks <= step:
        return [Piece(table, BlockRange(), size.bytes)]
    firsts = range(0, size.blocks, step)
    share = size.bytes * step // size.blocks
    pieces = [Piece(table, BlockRange(first, first + step), share) for first in firsts[:-1]]
    rest = max(size.bytes - share * len(pieces), 0)
    return [*pieces, Piece(table, BlockRange(firsts[-1], None), rest)]


def ids_per_range(count: int, size: int) -> int:
    """
    Return how many of *count* things of together *size* bytes, which are read one by one, a range has.

    It is a power of two, so that new ones, with ids beyond, leave the ranges before as they are.
    """
    step = 1
    while step < count and 2 * step * size <= RANGE_BYTES * count:
        step *= 2
    return step


def cut_by_id(table: int, firsts: Sequence[int], size: int) -> list[Piece]:
    """Cut things by ranges of ids in place of blocks; *firsts* are the first ids of the ranges, *size* is of all."""
    bounds = [0, *firsts[1:]]
    ends: list[int | None] = [*bounds[1:], None]
    return [Piece(table, BlockRange(first, end), size // len(bounds)) for first, end in zip(bounds, ends, strict=True)]


def batch_bytes(total: int, *, workers: int) -> int:
    """Return how much work one batch should hold, so that *workers* stay busy and a function ends well in time."""
    wanted = total // max(workers * ROUNDS, 1)
    return max(min(max(wanted, SMALLEST_BATCH), LARGEST_BATCH), -(-total // MOST_BATCHES))


def group(pieces: Sequence[Piece], *, workers: int) -> list[list[Piece]]:
    """
    Group pieces into batches of about equal work, in the order given.

    A batch exceeds its size by less than its last piece. The order is kept so that the ranges of a
    table, which share its cache on the server, are read together.
    """
    limit = batch_bytes(sum(map(_cost, pieces)), workers=workers)
    batches: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        if room <= 0:
            batches.append([])
            room = limit
        batches[-1].append(piece)
        room -= _cost(piece)
    return batches


def plan_pieces(
    sizes: Sequence[Sized], *, by_blocks: bool, former: Mapping[int, int] = MappingProxyType({})
) -> list[Piece]:
    """
    Cut every table; the pieces of the largest tables come first, so that none of them is the last to end.

    *former* has the blocks per range of the last backup for those tables where they are known.
    """
    pieces = [cut(table, size, by_blocks=by_blocks, former=former.get(table)) for table, size in enumerate(sizes)]
    pieces.sort(key=lambda of_table: -sum(piece.bytes for piece in of_table))
    return [piece for of_table in pieces for piece in of_table]


def uncovered(ranges: Iterable[BlockRange]) -> bool:
    """Answer whether ranges of one table leave a block out, or hold one twice; the order does not matter."""
    inner = sorted((one for one in ranges), key=lambda one: one.first)
    if not inner or inner[0].first != 0 or inner[-1].end is not None:
        return True
    return any(one.end != following.first for one, following in pairwise(inner))


def _cost(piece: Piece) -> int:
    return piece.bytes + STATEMENT_COST
