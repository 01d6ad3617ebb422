"""
Carry out the properties of DynamoDB tables that ministack drops: recovery, expiry, protection.

Differences from AWS that remain: point-in-time recovery is recorded but cannot be used; there is no
throttling; a query costs with the size of its partition, so partitions of an index must stay small.
"""

from __future__ import annotations

from typing import Any

from holdfast_local.cloud import hooks, resources

REPLICA_KNOWN = {
    "Region",
    "PointInTimeRecoverySpecification",
    "DeletionProtectionEnabled",
    "ContributorInsightsSpecification",
    "TableClass",
    "Tags",
    "SSESpecification",
    "GlobalSecondaryIndexes",
}


def install() -> None:
    """Carry them out for both types of table."""
    _install_update_in_place()
    resources.extend("AWS::DynamoDB::Table", apply)
    resources.extend("AWS::DynamoDB::GlobalTable", apply_global)


def _install_update_in_place() -> None:
    # ministack makes a name from a name when the template gives none, and so replaces the table: its items are lost.
    handlers = resources.handlers_of("AWS::DynamoDB::GlobalTable")
    original = handlers["update"]
    hooks.check(original, resources.UPDATE, where="AWS::DynamoDB::GlobalTable update")

    def update(physical_id: str, old_props: dict[str, Any], new_props: dict[str, Any], stack_name: str) -> Any:
        return original(physical_id, old_props, {"TableName": physical_id, **new_props}, stack_name)

    handlers["update"] = update


def apply_global(table: str, properties: dict[str, Any]) -> None:
    """Apply what a global table says of its replica here; other regions' replicas are refused."""
    replicas = properties.get("Replicas") or []
    here = hooks.module("ministack.core.responses").get_region()
    if [replica["Region"] for replica in replicas] not in ([], [here]):
        raise ValueError(f"AWS::DynamoDB::GlobalTable {table}: nobody replicates it here; name {here} alone")
    for replica in replicas:
        if unknown := replica.keys() - REPLICA_KNOWN:
            raise ValueError(f"AWS::DynamoDB::GlobalTable {table} Replicas: nobody carries out {sorted(unknown)} here")
    apply(table, {**properties, **(replicas[0] if replicas else {})})


def apply(table: str, properties: dict[str, Any]) -> None:
    """Set recovery, expiry and protection of *table*."""
    service = hooks.module("ministack.services.dynamodb")
    if "PointInTimeRecoverySpecification" in properties:
        _ask(service._update_continuous_backups, table, "PointInTimeRecoverySpecification", properties)
    if "TimeToLiveSpecification" in properties:
        _ask(service._update_ttl, table, "TimeToLiveSpecification", properties)
    if "DeletionProtectionEnabled" in properties:
        service._tables[table]["DeletionProtectionEnabled"] = properties["DeletionProtectionEnabled"] in (True, "true")


def _ask(action: Any, table: str, name: str, properties: dict[str, Any]) -> None:
    answer = action({"TableName": table, name: properties[name]})
    if name == "TimeToLiveSpecification" and b"already" in answer[2]:
        return  # as it is; the API refuses to set it to the same again
    resources.accepted(answer, what=f"DynamoDB table {table} {name}")
