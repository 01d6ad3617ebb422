"""Whether all tables of a source can be locked, and what to raise where they cannot."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.lock_slots import CATALOGUES, LockTable, least_for_comparing

STOCK = LockTable(
    tables=100, indexes=200, views=10, per_transaction=64, sessions=100, others_objects=50, others_holds=80
)
counts = st.integers(0, 200_000)
tables = st.builds(
    LockTable,
    tables=counts,
    indexes=counts,
    views=st.integers(0, 5_000),
    per_transaction=st.integers(10, 2_000),
    sessions=st.integers(10, 5_000),
    others_objects=st.integers(0, 5_000),
    others_holds=st.integers(0, 50_000),
)


def test_a_stock_server_takes_a_thousand_tables_and_not_twenty_thousand() -> None:
    assert STOCK.refusal(4) is None
    assert replace(STOCK, tables=1_000, indexes=2_000).refusal(4) is None
    assert replace(STOCK, tables=20_000, indexes=20_000).refusal(4) is not None


def test_the_refusal_names_the_setting_and_its_value() -> None:
    found = replace(STOCK, tables=20_000, indexes=20_000)

    _, remedy = found.refusal(4) or ("", "")

    assert f"max_locks_per_transaction to at least {found.least_setting(4)} (it is 64)" in remedy


@given(tables, st.integers(1, 100))
def test_the_value_that_is_named_suffices_and_one_less_does_not(found: LockTable, workers: int) -> None:
    least = found.least_setting(workers)

    assert replace(found, per_transaction=least).refusal(workers) is None
    assert replace(found, per_transaction=least - 1).refusal(workers) is not None


@given(tables, st.integers(1, 100))
def test_a_fifth_stays_free_for_the_application(found: LockTable, workers: int) -> None:
    room = found.per_transaction * found.sessions

    if found.refusal(workers) is None:
        assert found.objects + found.others_objects <= room * 4 / 5
        assert found.holds(workers) + found.others_holds <= 2 * room * 4 / 5


@given(counts, st.integers(1, 5_000))
def test_every_table_of_a_restore_can_be_locked_and_a_fifth_stays_free(restored: int, sessions: int) -> None:
    least = least_for_comparing(restored, sessions)

    assert (restored + CATALOGUES) <= least * sessions * 4 / 5
    assert (restored + CATALOGUES) > (least - 1) * sessions * 4 / 5
