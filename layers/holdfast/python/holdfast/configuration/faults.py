"""Sentences for what pydantic finds: short, with a remedy, and never echoing what may be a secret."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from holdfast.configuration.rules import suggestion

_KINDS = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": "must be a list in brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
_SHOWN = 40


def sentence(fault: ErrorDetails, root: type[BaseModel]) -> str:
    """Return what is wrong with one key of *root*, and the remedy."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"is not a known key{suggestion(str(fault['loc'][-1]), _known_keys(root, fault['loc'][:-1]))}"
    if kind in {"enum", "literal_error"}:
        return f"{_shown(fault['input'])} is not known; choose one of {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    return _KINDS.get(kind) or _bound(kind, context) or fault["msg"]


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    """Return the sentence for a value outside its bounds or pattern, or nothing."""
    bounds = {
        "greater_than_equal": ("must be at least {}", "ge"),
        "less_than_equal": ("must be at most {}", "le"),
        "string_pattern_mismatch": ("does not look right; it must match {}", "pattern"),
        "string_too_short": ("must not be empty", ""),
        "too_short": ("must have at least {}", "min_length"),
        "string_too_long": ("must have at most {} characters", "max_length"),
    }
    if kind not in bounds:
        return ""
    text, key = bounds[kind]
    return text.format(context.get(key))


def _shown(value: object) -> str:
    """Return a short form of a value of a closed list; long ones are cut, since they are none of the list."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _known_keys(root: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the table at *path* may have."""
    model: Any = root
    for part in path:
        field = model.model_fields.get(part) if _is_model(model) else None
        model = _given(field.annotation) if field else _element(model)
    return sorted(set(model.model_fields) - {"name"} | _own_name(model)) if _is_model(model) else []


def _given(annotation: Any) -> Any:
    """Return what a key holds where it is given: of `Model | None` the model."""
    return _element(annotation) if isinstance(annotation, UnionType) and _element(annotation) else annotation


def _own_name(model: type[BaseModel]) -> set[str]:
    """Return `name` when people give it; databases and targets get it from their table."""
    field = model.model_fields.get("name")
    return {"name"} if field and field.default != "" else set()


def _element(annotation: Any) -> Any:
    """Return the model that a dict's or tuple's annotation holds."""
    return next((argument for argument in get_args(annotation) if _is_model(argument)), None)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
