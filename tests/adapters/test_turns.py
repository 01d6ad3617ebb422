"""Turns: one function at a time changes what lets itself be changed one change at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from holdfast.adapters.aws import Clients, DynamoTurns
from holdfast.adapters.aws.catalogue.turns import LONGEST
from holdfast.errors import ProviderBusy

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def table(clients: Clients) -> Clients:
    clients.dynamodb.create_table(
        TableName="catalogue",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return clients


def turns(clients: Clients, *, at: datetime = NOON) -> DynamoTurns:
    return DynamoTurns(clients.dynamodb, "catalogue", now=lambda: at)


def test_a_turn_is_one_function_s_until_it_ends(table: Clients) -> None:
    with turns(table).turn("neon/p"):
        with turns(table).turn("neon/another"):
            pass
        with pytest.raises(ProviderBusy, match="neon/p"), turns(table).turn("neon/p"):
            pass

    with turns(table).turn("neon/p"):
        pass


def test_a_turn_ends_when_its_work_fails(table: Clients) -> None:
    with pytest.raises(ZeroDivisionError), turns(table).turn("neon/p"):
        raise ZeroDivisionError

    with turns(table).turn("neon/p"):
        pass


@pytest.mark.parametrize(("later", "free"), [(LONGEST, False), (LONGEST + timedelta(microseconds=1), True)])
def test_a_dead_function_s_turn_ends_by_itself(table: Clients, later: timedelta, free: bool) -> None:
    with turns(table).turn("neon/p"):
        late = turns(table, at=NOON + later)
        if free:
            with late.turn("neon/p"):
                pass
        else:
            with pytest.raises(ProviderBusy), late.turn("neon/p"):
                pass


def test_a_turn_that_another_took_over_is_left_to_it(table: Clients) -> None:
    slow, fast = turns(table), turns(table, at=NOON + 2 * LONGEST)
    with slow.turn("neon/p"):
        taken = fast.turn("neon/p")
        taken.__enter__()

    with pytest.raises(ProviderBusy), turns(table, at=NOON + 2 * LONGEST).turn("neon/p"):
        pass
    taken.__exit__(None, None, None)
