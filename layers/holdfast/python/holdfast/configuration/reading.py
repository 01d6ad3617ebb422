"""Reading the configuration: from a file, from the document in a function's layer, with every fault at once."""

from __future__ import annotations

import json
import tomllib
from importlib import resources
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from holdfast.configuration.faults import sentence
from holdfast.configuration.lines import Lines, Path
from holdfast.configuration.models import Configuration
from holdfast.errors import BadConfiguration

PACKAGE = "holdfast_configuration"
DOCUMENT = "holdfast.json"


def load(path: FilePath | str) -> Configuration:
    """
    Read `holdfast.toml` at *path*.

    Raises `BadConfiguration` that lists every fault, one line each: file, line, key and remedy.
    """
    file = FilePath(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadConfiguration(f"{file} does not exist.", hint="Give the path of your holdfast.toml.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfiguration(
            f"{file} cannot be read ({type(error).__name__}).", hint="It must be a readable file in UTF-8."
        ) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(_syntax_fault(file.name, text, str(error)), hint="Correct the TOML syntax.") from None
    try:
        return _validated(data)
    except ValidationError as error:
        raise BadConfiguration(_listed(error, file.name, Lines(text)), hint="") from None


def parse(document: str) -> Configuration:
    """Return the configuration that a normalised *document* holds; raises `BadConfiguration`."""
    try:
        return _validated(json.loads(document))
    except json.JSONDecodeError as error:
        raise BadConfiguration(f"The deployed configuration is no JSON (line {error.lineno}).") from None
    except ValidationError as error:
        raise BadConfiguration(_listed(error, DOCUMENT, None), hint="") from None


def deployed() -> Configuration:
    """Read the configuration that this function was deployed with, from the layer beside our code."""
    try:
        document = resources.files(PACKAGE).joinpath(DOCUMENT).read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise BadConfiguration(
            f"This function has no configuration: {PACKAGE}/{DOCUMENT} is missing.",
            hint="Deploy the system again; the app adds it as a layer.",
        ) from error
    return parse(document)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `holdfast.toml` for editors: nothing that has a default is required."""
    schema = Configuration.model_json_schema()
    for name, each in schema["$defs"].items():
        # What our own docstrings say is about the code; docs/configuration.md is for people.
        each.pop("description", None)
        each.get("properties", {}).pop("name" if name in {"Database", "Target"} else "", None)
    for name in ("Tiers", "TierPlan"):
        schema["$defs"][name].pop("required", None)
    required = schema["$defs"]["Database"]["required"]
    schema["$defs"]["Database"]["required"] = [key for key in required if key != "tiers"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "holdfast.toml"}


def _validated(data: Any) -> Configuration:
    """Validate *data* with the names of its networks as context, so that references are checked with the rest."""
    networks = data.get("networks") if isinstance(data, dict) else None
    context = {"networks": sorted(networks) if isinstance(networks, dict) else []}
    return Configuration.model_validate(data, context=context)


def _listed(error: ValidationError, file: str, lines: Lines | None) -> str:
    """Return every fault of *error*, one line each, in the order of the file."""
    faults: list[tuple[int, str]] = []
    for fault in error.errors(include_url=False):
        path: Path = fault.get("ctx", {}).get("path") or tuple(part for part in fault["loc"] if part != "[key]")
        line = lines.of(path) if lines else 0
        where = f"{file}:{line}" if lines else file
        key = ".".join(str(part) for part in path)
        text = f"{where}: {key}: {sentence(fault, Configuration)}"
        faults.append((line, text if text.endswith("?") else f"{text}."))
    return "\n".join(text for _, text in sorted(faults, key=lambda fault: fault[0]))


def _syntax_fault(file: str, text: str, message: str) -> str:
    """Return the parser's message with the line where people look for it."""
    reason, _, position = message.rpartition(" (at ")
    if position.startswith("line "):
        line = position.removeprefix("line ").split(",")[0]
    else:
        reason, line = message.removesuffix(" (at end of document)"), str(text.count("\n") + 1)
    return f"{file}:{line}: {reason[:1].lower()}{reason[1:]}."
