"""
The JSON Schema of what a person gives the restore machine: `python -m holdfast_infra.restore_input` writes it.

It is the contract of the machine's first state without the two fields that the machine adds itself.
"""

from __future__ import annotations

import json
from typing import Any

from holdfast.contracts.restore import RestoreRequest
from holdfast_infra.machines import MACHINES

FILE = MACHINES / "restore-input.schema.json"
ADDED = ("execution", "execution_started_at")

_DESCRIPTIONS = {
    "database": "The protected database, as holdfast.toml names it.",
    "point": "latest, latest-proven, or the id of a recovery point.",
    "into": "The name of the new database. It must not exist, or be empty.",
    "target_secret": "The secret of another server; without it, the database's own server is restored to.",
    "kind": "full, schema or data; without it, all that the point has.",
    "tables": "Patterns of the tables that are wanted, as pg_dump reads them.",
    "schemas": "Patterns of the schemas that are wanted.",
    "plan_only": "Make the plan, or say why it cannot be restored, and touch nothing.",
    "reason": "Why, for the report.",
}


def schema() -> dict[str, Any]:
    """Return the schema, with a description for each field."""
    contract = RestoreRequest.model_json_schema()
    properties = {name: each for name, each in contract["properties"].items() if name not in ADDED}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Input of the restore state machine",
        "type": "object",
        "properties": {
            name: {"description": _DESCRIPTIONS[name], **{k: v for k, v in each.items() if k != "title"}}
            for name, each in properties.items()
        },
        "required": [name for name in contract["required"] if name not in ADDED],
        "additionalProperties": False,
        "$defs": {name: {"enum": each["enum"], "type": each["type"]} for name, each in contract["$defs"].items()},
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
