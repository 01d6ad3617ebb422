"""The few calls of DynamoDB that the catalogue makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from holdfast.adapters.aws.catalogue.items import Item, attributes
from holdfast.adapters.aws.errors import code_of, translated
from holdfast.errors import StorageThrottled, UnexpectedState

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TRIES = 5
_CONDITION = "ConditionalCheckFailed"
_LATER = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


class Table:
    """One table with keys `pk` and `sk`."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, pk: str, sk: str) -> Item | None:
        """Return an item, strongly consistent, or nothing."""
        with translated(f"Reading {sk} of {pk} from the catalogue"):
            answer = self._client.get_item(TableName=self._name, Key=key(pk, sk), ConsistentRead=True)
        return answer.get("Item")

    def put(self, pk: str, sk: str, item: Item, condition: str, values: Mapping[str, object]) -> bool:
        """Write an item if *condition* (which may name attributes as `#name`) holds; answers whether it did."""
        with translated(f"Writing {sk} of {pk} to the catalogue"):
            return _condition_met(
                self._client.put_item,
                TableName=self._name,
                Item=item | key(pk, sk),
                ConditionExpression=condition,
                **_expression_names(condition),
                **_expression_values(values),
            )

    def update(self, pk: str, sk: str, facts: Item, condition: str, values: Mapping[str, object]) -> bool:
        """Set the attributes *facts* of an item if *condition* (which may name attributes as `#name`) holds."""
        names = {f"#{name}": name for name in {*facts, *re.findall(r"#(\w+)", condition)}}
        with translated(f"Changing {sk} of {pk} in the catalogue"):
            return _condition_met(
                self._client.update_item,
                TableName=self._name,
                Key=key(pk, sk),
                UpdateExpression="SET " + ", ".join(f"#{name} = :new_{name}" for name in facts),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={f":new_{name}": value for name, value in facts.items()}
                | attributes({f":{name}": value for name, value in values.items()}),
            )

    def delete(self, pk: str, sk: str, condition: str = "", values: Mapping[str, object] | None = None) -> bool:
        """Remove an item if *condition* holds; answers whether it did."""
        values_named = _expression_values(values or {}) | _expression_names(condition)
        checked: dict[str, Any] = {"ConditionExpression": condition, **values_named} if condition else {}
        with translated(f"Removing {sk} of {pk} from the catalogue"):
            return _condition_met(self._client.delete_item, TableName=self._name, Key=key(pk, sk), **checked)

    def query(self, pk: str, prefix: str, *, backwards: bool = False, limit: int | None = None) -> Iterator[Item]:
        """Yield the items of *pk* whose `sk` starts with *prefix*, strongly consistent, at most *limit*."""
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": attributes({":pk": pk, ":prefix": prefix}),
            "ConsistentRead": True,
            "ScanIndexForward": not backwards,
        }
        left = limit
        while left is None or left > 0:
            with translated(f"Listing {prefix} of {pk} in the catalogue"):
                page = self._client.query(**arguments | ({} if left is None else {"Limit": left}))
            yield from page["Items"]
            left = left if left is None else left - len(page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def create_together(self, items: Sequence[tuple[str, str, Item]]) -> bool:
        """Write all *items* (pk, sk, attributes) if none of them exists, or none; answers whether it did."""
        writes: list[Any] = [
            {
                "Put": {
                    "TableName": self._name,
                    "Item": item | key(pk, sk),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
            for pk, sk, item in items
        ]
        names = ", ".join(sk for _, sk, _ in items)
        for _ in range(_TRIES):
            reasons = self._transact(writes, names)
            if not reasons:
                return True
            if _CONDITION in reasons:
                return False
            if not reasons <= _LATER:
                raise UnexpectedState(f"Writing {names} to the catalogue was cancelled: {', '.join(sorted(reasons))}.")
        raise StorageThrottled(f"Writing {names} to the catalogue met other writers {_TRIES} times.")

    def _transact(self, writes: list[Any], names: str) -> set[str]:
        """Write *writes* together; returns why not, if not."""
        with translated(f"Writing {names} to the catalogue"):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if code_of(error) != "TransactionCanceledException":
                    raise
                reasons: Any = error.response.get("CancellationReasons", [])
                return {reason.get("Code", "None") for reason in reasons} - {"None"} or {"Unknown"}
        return set()


def key(pk: str, sk: str) -> Item:
    """Return the key attributes."""
    return attributes({"pk": pk, "sk": sk})


def _expression_names(condition: str) -> dict[str, Any]:
    """Return the argument for attributes that *condition* names as `#name`; an empty one is refused by the service."""
    names = {found: found[1:] for found in re.findall(r"#\w+", condition)}
    return {"ExpressionAttributeNames": names} if names else {}


def _expression_values(values: Mapping[str, object]) -> dict[str, Any]:
    """Return the argument for a condition's values; an empty one is refused by the service."""
    if not values:
        return {}
    return {"ExpressionAttributeValues": attributes({f":{name}": value for name, value in values.items()})}


def _condition_met(call: Any, **arguments: Any) -> bool:
    """Make *call*; False when its condition did not hold."""
    try:
        call(**arguments)
    except ClientError as error:
        if code_of(error) == "ConditionalCheckFailedException":
            return False
        raise
    return True
