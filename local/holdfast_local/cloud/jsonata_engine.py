"""
Give the interpreter a JSONata engine.

moto ports an interpreter that evaluates JSONata on a Java machine and leaves that part out. Here
jsonata-python does it; variables are declared as JSON (moto quotes texts by hand, so a quote or a line
break in one was a syntax error), and `$uuid`, `$hash` and `$parse` exist.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from typing import Any

from holdfast_local.cloud import hooks

PARSER = "moto.stepfunctions.parser"
PLACEHOLDERS = re.compile(r"\s*\$(uuid|hash|parse):=function\([^)]*\)\{[^}]*\};")


def install() -> None:
    """Put the engine in."""
    module = hooks.module(f"{PARSER}.asl.jsonata.jsonata")
    error = module.JSONataException

    def evaluate_or_raise(expression: str) -> Any:
        try:
            return evaluate(expression)
        except Exception as failure:
            raise error("UNKNOWN", str(failure)) from failure

    hooks.replace_imported(PARSER, "encode_jsonata_variable_declarations", declare)
    hooks.assign(module, "_eval_jsonata", evaluate_or_raise)


def declare(bindings: dict[str, Any]) -> str:
    """Write *bindings* as JSONata variable declarations."""
    return "".join(f"{name}:={json.dumps(value, default=str)};" for name, value in bindings.items())


def evaluate(expression: str) -> Any:
    """Evaluate a JSONata *expression* and return its result as plain JSON values."""
    engine = hooks.module("jsonata").Jsonata(PLACEHOLDERS.sub("", expression))
    engine.register_lambda("uuid", lambda: str(uuid.uuid4()))
    engine.register_lambda("hash", _hash)
    engine.register_lambda("parse", json.loads)
    return json.loads(json.dumps(engine.evaluate(None)))


def _hash(value: Any, algorithm: str = "SHA-256") -> str:
    return hashlib.new(algorithm.replace("-", "").lower(), str(value).encode()).hexdigest()
