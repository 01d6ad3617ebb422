"""
Hold requests and answers against an OpenAPI document of the vendor's.

The documents are the vendors' own and are not kept here. Where they are given (`make contracts NEON=FILE
VERCEL=FILE`), every message that the twins and the clients exchange in these tests is checked.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from holdfast_local.twin_messages import Exchange

_URI = "urn:contract"
BAD_REQUEST = 400


class Contract:
    """An OpenAPI 3.0 document; only what its schemas require or restrict is checked."""

    def __init__(self, path: Path) -> None:
        self._document = _as_json_schema(json.loads(path.read_text()))
        resource = Resource.from_contents(self._document, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_URI, resource)
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", template) + "$"), template)
            for template in self._document["paths"]
        ]

    def check(self, exchange: Exchange) -> None:
        """Raise `AssertionError` unless the operation exists and request and answer are as it says."""
        template = next((known for pattern, known in self._paths if pattern.match(exchange.path)), None)
        assert template is not None, f"there is no {exchange.path} in the contract"
        what = f"{exchange.method} {template}"
        operation = self._document["paths"][template].get(exchange.method.lower())
        assert operation is not None, f"there is no {what} in the contract"
        known = {self._resolved(each)["name"] for each in operation.get("parameters", [])}
        assert exchange.parameters <= known, f"{what} takes no {sorted(exchange.parameters - known)}"
        status = exchange.status
        if exchange.sent is not None and status < BAD_REQUEST:
            self._validate(exchange.sent, operation["requestBody"], f"request of {what}")
        answers = operation["responses"]
        assert str(status) in answers or status >= BAD_REQUEST, f"{what} does not answer {status}"
        answer = answers.get(str(status), answers.get("default", {}))
        if exchange.answered is not None and (status < BAD_REQUEST or "content" in self._resolved(answer)):
            self._validate(exchange.answered, answer, f"{status} of {what}")

    def _validate(self, value: Any, part: Any, what: str) -> None:
        content = self._resolved(part).get("content", {}).get("application/json")
        assert content is not None, f"{what} has no JSON in the contract"
        schema = json.loads(json.dumps(content["schema"]).replace('"#/', f'"{_URI}#/'))
        faults = [
            f"{'/'.join(map(str, error.path))}: {error.message[:200]}"
            for error in Draft202012Validator(schema, registry=self._registry).iter_errors(value)
        ]
        assert not faults, f"{what}: {faults[:5]}"

    def _resolved(self, part: Any) -> Any:
        while "$ref" in part:
            found = self._document
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part


def _as_json_schema(part: Any) -> Any:
    """Return a part of an OpenAPI 3.0 document in the words of JSON Schema."""
    if isinstance(part, list):
        return [_as_json_schema(each) for each in part]
    if not isinstance(part, dict):
        return part
    # Documents that are generated give overlapping shapes as `oneOf`, where a thing that fits both would be refused.
    found = {"anyOf" if name == "oneOf" else name: _as_json_schema(each) for name, each in part.items()}
    if found.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
        if "enum" in found:
            found["enum"] = [*found["enum"], None]
    return found
