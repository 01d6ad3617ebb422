"""How tables are cut and grouped."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.planning import (
    MOST_BATCHES,
    MOST_BLOCKS,
    RANGE_BYTES,
    STATEMENT_COST,
    Piece,
    Sized,
    batch_bytes,
    blocks_per_range,
    cut,
    cut_by_id,
    group,
    ids_per_range,
    plan_pieces,
    uncovered,
)
from holdfast.model.tables import BlockRange

BLOCK = 8192
blocks = st.integers(0, 3_000)
tables = st.builds(lambda n, wide: Sized(n, n * BLOCK * wide), blocks, st.integers(1, 3000))
small_tables = st.builds(lambda n: Sized(n, n * BLOCK), st.integers(0, 20_000))


@given(tables)
def test_ranges_cover_every_block_once_and_the_last_is_open(size: Sized) -> None:
    ranges = [piece.range for piece in cut(0, size, by_blocks=True)]

    assert ranges[0].first == 0
    assert [one.end for one in ranges[:-1]] == [one.first for one in ranges[1:]]
    assert ranges[-1].end is None


@given(tables)
def test_boundaries_are_multiples_of_a_power_of_two(size: Sized) -> None:
    step = blocks_per_range(size)

    assert step & (step - 1) == 0
    assert 1 <= step <= MOST_BLOCKS
    assert all(piece.range.first % step == 0 for piece in cut(0, size, by_blocks=True))


@given(st.integers(1, 100_000), st.integers(0, 100_000))
def test_a_table_that_grew_keeps_its_boundaries(before: int, more: int) -> None:
    old = cut(0, Sized(before, before * BLOCK), by_blocks=True)
    new = cut(0, Sized(before + more, (before + more) * BLOCK), by_blocks=True)

    assert [piece.range for piece in old[:-1]] == [piece.range for piece in new[: len(old) - 1]]


@given(tables)
def test_a_range_is_small_unless_a_single_block_is_large(size: Sized) -> None:
    pieces = cut(0, size, by_blocks=True)

    if blocks_per_range(size) > 1:
        assert all(piece.bytes <= RANGE_BYTES for piece in pieces[:-1])
    assert sum(piece.bytes for piece in pieces) == size.bytes


@given(tables)
def test_a_server_without_tid_ranges_gets_whole_tables(size: Sized) -> None:
    assert cut(3, size, by_blocks=False) == [Piece(3, BlockRange(), size.bytes)]


def test_an_empty_table_is_copied_too() -> None:
    assert cut(0, Sized(0, 0), by_blocks=True) == [Piece(0, BlockRange(), 0)]


@given(st.lists(small_tables, max_size=30), st.integers(1, 100))
def test_every_piece_is_in_exactly_one_batch_in_order(sizes: list[Sized], workers: int) -> None:
    pieces = plan_pieces(sizes, by_blocks=True)

    batches = group(pieces, workers=workers)

    assert [piece for batch in batches for piece in batch] == pieces
    assert all(batches)


@given(st.lists(small_tables, min_size=1, max_size=30), st.integers(1, 100))
def test_a_batch_exceeds_its_size_by_less_than_its_last_piece(sizes: list[Sized], workers: int) -> None:
    pieces = plan_pieces(sizes, by_blocks=True)
    limit = batch_bytes(sum(piece.bytes + STATEMENT_COST for piece in pieces), workers=workers)

    for batch in group(pieces, workers=workers):
        assert sum(piece.bytes + STATEMENT_COST for piece in batch[:-1]) < limit


@given(st.integers(0, 10**16), st.integers(1, 1000))
def test_no_database_has_more_batches_than_a_map_takes(total: int, workers: int) -> None:
    assert total <= batch_bytes(total, workers=workers) * MOST_BATCHES


widths = st.floats(1, 2000)


@given(st.integers(5_000, 50_000), widths, st.lists(st.tuples(st.integers(0, 2_000), st.floats(0.6, 1.6)), max_size=6))
def test_a_table_that_grows_and_whose_rows_vary_in_width_keeps_its_boundaries(
    count: int, width: float, changes: list[tuple[int, float]]
) -> None:
    step = blocks_per_range(Sized(count, int(count * BLOCK * width)))

    for more, wider in changes:
        count += more
        size = Sized(count, int(count * BLOCK * width * wider))
        assert blocks_per_range(size, step) == step
        assert [piece.range.first for piece in cut(0, size, by_blocks=True, former=step)] == list(range(0, count, step))


@pytest.mark.parametrize(
    ("former", "now"),
    [
        pytest.param(None, 256, id="the first backup"),
        pytest.param(256, 256, id="as before"),
        pytest.param(512, 512, id="twice too large"),
        pytest.param(128, 128, id="half too small"),
        pytest.param(1024, 256, id="four times too large"),
        pytest.param(64, 256, id="four times too small"),
        pytest.param(0, 256, id="nonsense"),
    ],
)
def test_boundaries_change_when_they_are_far_off(former: int | None, now: int) -> None:
    assert blocks_per_range(Sized(10_000, 10_000 * 32 * BLOCK), former) == now


bounds = st.lists(st.integers(1, 500), unique=True, max_size=20).map(sorted)


def tiles(inner: list[int]) -> list[BlockRange]:
    ends = [*inner, None]
    return [BlockRange(first, end) for first, end in zip([0, *inner], ends, strict=True)]


@given(bounds, st.randoms())
def test_ranges_that_cover_every_block_once_are_told_in_any_order(inner: list[int], random: Random) -> None:
    ranges = tiles(inner)
    random.shuffle(ranges)

    assert not uncovered(ranges)


@given(bounds, st.data())
def test_a_range_that_is_missing_doubled_or_moved_is_told(inner: list[int], data: st.DataObject) -> None:
    ranges = tiles(inner)
    at = data.draw(st.integers(0, len(ranges) - 1))
    one, change = ranges[at], data.draw(st.sampled_from(["missing", "doubled", "begins later", "ends elsewhere"]))
    others = ranges[:at] + ranges[at + 1 :]
    wrong = {
        "missing": [],
        "doubled": [one, one],
        "begins later": [BlockRange(one.first + 1, one.end)],
        "ends elsewhere": [BlockRange(one.first, 501 if one.end is None else one.end + 1)],
    }

    assert uncovered(others + wrong[change])


def test_a_hundred_terabytes_in_one_table_are_work_for_all_and_fit_one_map() -> None:
    # Ranges stand for more blocks than a table of PostgreSQL can have, so that there are few of them here.
    pieces = [Piece(0, BlockRange(n, n + 1), 10 * 2**30) for n in range(10_240)]

    batches = group(pieces, workers=200)

    assert 9 * 200 < len(batches) <= MOST_BATCHES + 1 < 10_000
    assert max(sum(piece.bytes for piece in batch) for batch in batches) <= 2 * 10 * 2**30


def test_a_single_large_table_keeps_every_worker_busy() -> None:
    batches = group(plan_pieces([Sized(1_000_000, 1_000_000 * BLOCK)], by_blocks=True), workers=10)

    assert len(batches) >= 10
    sizes = [sum(piece.bytes for piece in batch) for batch in batches]
    assert max(sizes[:-1]) <= 1.1 * min(sizes[:-1])


def test_the_largest_table_is_copied_first() -> None:
    pieces = plan_pieces([Sized(1, BLOCK), Sized(9000, 9000 * BLOCK), Sized(2, 2 * BLOCK)], by_blocks=True)

    assert [piece.table for piece in pieces] == [1, 1, 1, 2, 0]


def test_a_thousand_empty_tables_are_spread_over_the_workers() -> None:
    pieces = plan_pieces([Sized(0, 0)] * 1000, by_blocks=True)

    assert len(group(pieces, workers=4)) >= 4


def test_things_that_are_read_one_by_one_are_cut_by_their_ids() -> None:
    pieces = cut_by_id(-1, [10, 20, 31], 90)

    assert [(piece.range.first, piece.range.end, piece.bytes) for piece in pieces] == [
        (0, 20, 30), (20, 31, 30), (31, None, 30)
    ]  # fmt: skip


def test_few_small_things_are_one_range() -> None:
    assert [piece.range.whole for piece in cut_by_id(-1, [10], 1000)] == [True]


@pytest.mark.parametrize(
    ("count", "size", "step"),
    [
        pytest.param(5, 5 * RANGE_BYTES // 2, 2, id="two fit"),
        pytest.param(5, 5 * RANGE_BYTES // 2 + 5, 1, id="two just do not fit"),
        pytest.param(1, 10 * RANGE_BYTES, 1, id="one that is too large"),
        pytest.param(3, 1000, 4, id="all fit"),
    ],
)
def test_as_many_things_as_fit_are_in_a_range(count: int, size: int, step: int) -> None:
    assert ids_per_range(count, size) == step
