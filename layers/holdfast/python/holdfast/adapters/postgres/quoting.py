"""Write names and literals into SQL text for programs that take no parameters."""

from __future__ import annotations

from collections.abc import Iterable


def identifier(name: str) -> str:
    """Return *name* as a quoted identifier. Raises `ValueError` for a NUL, which no name holds."""
    if "\0" in name:
        raise ValueError("A name holds a NUL character.")
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Return `"schema"."name"`."""
    return f"{identifier(schema)}.{identifier(name)}"


def columns(names: Iterable[str]) -> str:
    """Return names as a list of quoted identifiers, without parentheses."""
    return ", ".join(identifier(name) for name in names)


def literal(text: str) -> str:
    """Return *text* as a string constant that means the same whatever `standard_conforming_strings` is."""
    if "\0" in text:
        raise ValueError("A text holds a NUL character.")
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else f"'{quoted}'"
