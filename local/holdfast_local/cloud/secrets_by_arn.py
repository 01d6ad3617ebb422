"""
Let CloudFormation refer to a secret by its ARN, as AWS does.

ministack's `Ref` gives the name, and a grant written against a name allows nothing.
"""

from __future__ import annotations

from typing import Any

from holdfast_local.cloud import hooks, resources

SUFFIX = 7  # a dash and six characters, which end every secret's ARN


def install() -> None:
    """Make the ARN the physical id of a secret."""
    handlers = resources.handlers_of("AWS::SecretsManager::Secret")
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]
    hooks.check(create, resources.CREATE, where="AWS::SecretsManager::Secret create")
    hooks.check(update, (*resources.UPDATE, "logical_id"), where="AWS::SecretsManager::Secret update")

    def create_by_arn(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        _, attributes = create(logical_id, props, stack_name)
        return attributes["Arn"], attributes

    def update_by_arn(physical_id: str, old: Any, new: Any, stack: str, *more: Any) -> Any:
        _, attributes = update(name_of(physical_id), old, new, stack, *more)
        return attributes["Arn"], attributes

    handlers["create"] = create_by_arn
    handlers["update"] = update_by_arn
    handlers["delete"] = lambda physical_id, props: delete(name_of(physical_id), props)


def name_of(arn: str) -> str:
    """Return the name in a secret's ARN; a name stays as it is."""
    return arn.split(":secret:")[1][:-SUFFIX] if ":secret:" in arn else arn
