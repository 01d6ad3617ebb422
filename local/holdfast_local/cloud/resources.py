"""Extend how ministack's CloudFormation makes resources of a type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast_local.cloud import hooks

Properties = dict[str, Any]
Apply = Callable[[str, Properties], None]
"""Takes a resource's physical id and its properties."""

CREATE = ("logical_id", "props", "stack_name")
UPDATE = ("physical_id", "old_props", "new_props", "stack_name")


def handlers_of(resource_type: str) -> dict[str, Any]:
    """Return the functions that create, update and delete a type of resource."""
    provisioners = hooks.module("ministack.services.cloudformation.provisioners")
    handlers: dict[str, Any] = provisioners._RESOURCE_HANDLERS[resource_type]
    return handlers


def extend(resource_type: str, apply: Apply) -> None:
    """
    Call *apply* after each creation and update of a *resource_type*.

    It sees all properties and carries out what ministack leaves out; what it raises fails the stack.
    """
    handlers = handlers_of(resource_type)
    create: Any = handlers["create"]
    update: Any = handlers.get("update")
    hooks.check(create, CREATE, where=f"{resource_type} create")

    def create_and_apply(logical_id: str, props: Properties, stack_name: str) -> Any:
        physical_id, attributes = create(logical_id, props, stack_name)
        apply(physical_id, props)
        return physical_id, attributes

    def update_and_apply(physical_id: str, old: Properties, new: Properties, stack: str, *more: Any) -> Any:
        updated, attributes = update(physical_id, old, new, stack, *more)
        apply(updated, new)
        return updated, attributes

    handlers["create"] = create_and_apply
    if update is not None:
        expected = (*UPDATE, "logical_id") if handlers.get("update_with_logical_id") else UPDATE
        hooks.check(update, expected, where=f"{resource_type} update")
        handlers["update"] = update_and_apply


def accepted(answer: Any, *, what: str) -> None:
    """Raise when *answer*, a service's status, headers and body, is a refusal."""
    status, _, body = answer
    if status >= 300:
        raise ValueError(f"{what}: {body.decode(errors='replace') if isinstance(body, bytes) else body}")
