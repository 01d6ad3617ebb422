"""The JSON Schema of holdfast.toml for editors: `python -m holdfast_infra.configuration_schema` writes it."""

from __future__ import annotations

import json
from pathlib import Path

from holdfast.configuration import json_schema

FILE = Path(__file__).resolve().parents[2] / "docs" / "holdfast.schema.json"


def text() -> str:
    """Return the file's content."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
