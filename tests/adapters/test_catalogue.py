"""What only the catalogue in DynamoDB can show: conflicts, throttling, and how things lie in the table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from holdfast.adapters.aws import Clients, DynamoPoints
from holdfast.errors import StorageThrottled, UnexpectedState
from holdfast.model.points import PointState, RecoveryPoint, Tier

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
POINT = RecoveryPoint(
    id="shop-20260131t120000z-abcdef",
    database="shop",
    tier=Tier.DAILY,
    kind="full",
    state=PointState.CAPTURING,
    started_at=NOON,
    taken_at=NOON,
    execution="arn:run-1",
)


@pytest.fixture
def stubber(clients: Clients) -> Stubber:
    return Stubber(clients.dynamodb)


@pytest.fixture
def points(clients: Clients) -> DynamoPoints:
    return DynamoPoints(clients.dynamodb, "catalogue")


def cancel(stubber: Stubber, *codes: str) -> None:
    reasons = [{"Code": code} for code in codes]
    stubber.add_client_error(
        "transact_write_items", "TransactionCanceledException", modeled_fields={"CancellationReasons": reasons}
    )


def test_a_transaction_that_met_another_is_tried_again(points: DynamoPoints, stubber: Stubber) -> None:
    cancel(stubber, "TransactionConflict", "None")
    stubber.add_response("transact_write_items", {})

    with stubber:
        points.begin(POINT)

    stubber.assert_no_pending_responses()


def test_transactions_that_keep_meeting_are_left_to_the_state_machine(points: DynamoPoints, stubber: Stubber) -> None:
    for _ in range(5):
        cancel(stubber, "None", "TransactionConflict")

    with stubber, pytest.raises(StorageThrottled):
        points.begin(POINT)


def test_an_unknown_reason_for_a_cancelled_transaction_is_loud(points: DynamoPoints, stubber: Stubber) -> None:
    cancel(stubber, "None", "ValidationError")

    with stubber, pytest.raises(UnexpectedState, match="ValidationError"):
        points.begin(POINT)


def test_throttling_is_transient(points: DynamoPoints, stubber: Stubber) -> None:
    stubber.add_client_error("get_item", "ProvisionedThroughputExceededException")

    with stubber, pytest.raises(StorageThrottled, match=POINT.id):
        points.get(POINT.id)


def test_a_point_lies_under_its_database_with_readable_attributes(points: DynamoPoints, clients: Clients) -> None:
    clients.dynamodb.create_table(
        TableName="catalogue",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )

    points.begin(POINT)

    key = {"pk": {"S": "db#shop"}, "sk": {"S": f"point#{POINT.id}"}}
    item = clients.dynamodb.get_item(TableName="catalogue", Key=key)["Item"]
    assert item["state"] == {"S": "capturing"}
    assert item["taken_at"] == {"S": "2026-01-31T12:00:00.000000+00:00"}
    assert item["rows"] == {"N": "0"}
    assert "intact_at" not in item
