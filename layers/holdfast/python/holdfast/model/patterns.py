"""
Read patterns of names by the rules of psql and pg_dump.

Letters are folded to lower case unless quoted, `*` is any text, `?` any character, a dot separates schema and name,
`$` is itself, and what else means something in a regular expression keeps its meaning, unless it is quoted.
The rules are those of `patternToSQLRegex` in PostgreSQL's fe_utils/string_utils.c; the server does the matching, or
`match`, where there is none.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from holdfast.model.tables import TableName

PUBLIC = "^(public)$"
"""The schema of a pattern that names none, where no search path goes with names."""
_OF_SERVERS = re.compile(r"\\[A-Za-z0-9]|\[[:.=]")
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


def match(names: Sequence[TableName], patterns: Sequence[Pattern]) -> tuple[frozenset[TableName], tuple[str, ...]]:
    """
    Return those of *names* that any of *patterns* matches, and the patterns that match none of them.

    Raises `ValueError` for the expressions that mean something else, or nothing, outside PostgreSQL.
    """
    found, unmatched = set[TableName](), []
    for pattern in patterns:
        schema, name = _compiled(pattern, pattern.schema or PUBLIC), _compiled(pattern, pattern.name)
        matched = {each for each in names if schema.fullmatch(each.schema) and name.fullmatch(each.name)}
        found |= matched
        if not matched:
            unmatched.append(pattern.text)
    return frozenset(found), tuple(unmatched)


def _compiled(pattern: Pattern, expression: str) -> re.Pattern[str]:
    try:
        if _OF_SERVERS.search(expression):
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(expression.removeprefix("^").removesuffix("$"), re.DOTALL)
    except (re.error, ValueError, FutureWarning) as error:
        raise ValueError(f"{pattern.text!r} is an expression that only a server can read") from error


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
