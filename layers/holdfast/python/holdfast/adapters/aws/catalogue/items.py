"""Dataclasses as items: numbers as numbers, times as ISO 8601 in UTC, enums as their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Item = dict[str, Any]
Thing = TypeVar("Thing", bound="DataclassInstance")


def item_of(thing: DataclassInstance) -> Item:
    """Return the attributes of a flat dataclass; fields that are None are left out."""
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    return attributes(values)


def attributes(values: Mapping[str, object]) -> Item:
    """Return *values* as DynamoDB's attributes, without those that are None."""
    return {name: attribute(value) for name, value in values.items() if value is not None}


def attribute(value: object) -> dict[str, Any]:
    """Return one value as an attribute; times get all six digits, so that texts sort as times do."""
    if isinstance(value, bool):  # before numbers: it is one
        return {"BOOL": value}
    if isinstance(value, Enum):
        return {"S": str(value.value)}
    if isinstance(value, datetime):
        return {"S": value.astimezone(UTC).isoformat(timespec="microseconds")}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    raise TypeError(f"The catalogue keeps no {type(value).__name__}.")


def thing_of(kind: type[Thing], item: Mapping[str, Any]) -> Thing:
    """Return the dataclass that *item* holds; attributes that are no field (keys, locks) are ignored."""
    hints = _hints(kind)
    values = {field.name: _value(hints[field.name], item[field.name]) for field in fields(kind) if field.name in item}
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields; looked up once, since lists of points are long."""
    return get_type_hints(kind)


def _value(hint: Any, stored: Mapping[str, Any]) -> object:
    """Return the value of a field of type *hint*."""
    if "BOOL" in stored:
        return bool(stored["BOOL"])
    if "N" in stored:
        return int(stored["N"])
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    if datetime in kinds:
        return datetime.fromisoformat(stored["S"])
    return kinds[0](stored["S"])
