"""
Read patterns of names by the rules of psql and pg_dump.

Letters are folded to lower case unless quoted, `*` is any text, `?` any character, a dot separates schema and name,
`$` is itself, and what else means something in a regular expression keeps its meaning, unless it is quoted.
The rules are those of `patternToSQLRegex` in PostgreSQL's fe_utils/string_utils.c; the server does the matching.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase

_SPECIAL = frozenset("|*+?()[]{}.^\\")


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    Regular expressions for PostgreSQL's `~` operator.

    Without a *schema*, names count that are found without naming their schema, as those of `public` usually are.
    """

    text: str
    schema: str | None
    name: str


def table_pattern(text: str) -> Pattern:
    """Return the pattern of tables, views and sequences that *text* is; raises `ValueError` with what is wrong."""
    parts = _parts(text)
    if len(parts) > 2:
        raise ValueError(f"{text!r} has more parts than a schema and a name; quote a dot that belongs to a name")
    return Pattern(text, parts[0] if len(parts) == 2 else None, parts[-1])


def schema_pattern(text: str) -> Pattern:
    """Return the pattern of schemas that *text* is; raises `ValueError` with what is wrong."""
    parts = _parts(text)
    if len(parts) > 1:
        raise ValueError(f"{text!r} has more parts than the name of a schema; quote a dot that belongs to it")
    return Pattern(text, None, parts[0])


def _parts(text: str) -> list[str]:
    parts, quoted, at = [""], False, 0
    while at < len(text):
        character, following = text[at], text[at + 1 : at + 2]
        if character == '"' and quoted and following == '"':
            parts[-1] += '"'
            at += 1
        elif character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += _expression(character, following, quoted=quoted)
        at += 1
    if quoted:
        raise ValueError(f"{text!r} has a quotation mark that is not closed")
    if not all(parts) or "\0" in text:
        raise ValueError(f"{text!r} names nothing")
    return [f"^({part})$" for part in parts]


def _expression(character: str, following: str, *, quoted: bool) -> str:
    """Return the part of the regular expression that *character* is."""
    if character == "$" or (quoted and character in _SPECIAL):
        return "\\" + character
    if quoted:
        return character
    if character == "[" and following == "]":
        return "\\["
    if character in ascii_uppercase:
        return character.lower()
    return {"*": ".*", "?": "."}.get(character, character)
