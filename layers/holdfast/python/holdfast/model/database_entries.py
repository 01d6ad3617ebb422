"""
What the archive says about the database itself: owner, settings, grants and comment.

pg_dump writes these with the database's own name, so they are told for the new name here. They are run one
by one, since a role that is no superuser may be refused some settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from holdfast.model.toc import TocEntry

_ABOUT = re.compile(
    r"""(?P<before>
            (?:ALTER|COMMENT\ ON|(?:GRANT|REVOKE)\ [A-Z, ]+\ ON|ALTER\ ROLE\ (?:"(?:[^"]|"")+"|\w+)\ IN
            |SECURITY\ LABEL\ FOR\ (?:"(?:[^"]|"")+"|\w+)\ ON)\ DATABASE\ )
        (?P<name>"(?:[^"]|"")+"|\w+)""",
    re.VERBOSE,
)
_LIMIT = re.compile(r"""ALTER DATABASE (?:"(?:[^"]|"")+"|\w+) CONNECTION LIMIT """)
_GRANTOR = re.compile(r"""^SET SESSION AUTHORIZATION (?P<name>"(?:[^"]|"")+"|\w+);$""", re.MULTILINE)
_TOKEN = re.compile(r"""E'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?P<end>;\n)""", re.DOTALL)


def is_about_the_database(entry: TocEntry) -> bool:
    """Answer whether *entry* says something about the database as a whole, other than creating it."""
    if entry.kind == "DATABASE PROPERTIES":
        return True
    return entry.kind in {"ACL", "COMMENT", "SECURITY LABEL"} and entry.tag.startswith("DATABASE ")


def database_statements(entries: Iterable[TocEntry], quoted_name: str) -> Iterator[str]:
    """Yield the statements about the database, for the database *quoted_name*, without their semicolons."""
    for entry in entries:
        if is_about_the_database(entry):
            for statement in statements_in(entry.definition):
                found = _ABOUT.match(statement)
                if found:
                    yield f"{found['before']}{quoted_name}{statement[found.end() :]}"


def connection_limit(entries: Iterable[TocEntry], quoted_name: str) -> str:
    """Return the statement that limits the database's connections, or nothing; superusers are not limited."""
    return next((found for found in database_statements(entries, quoted_name) if _LIMIT.match(found)), "")


def database_owner(entries: Iterable[TocEntry]) -> str:
    """Return the owner of the database, or nothing when the archive does not say."""
    return next((entry.owner for entry in entries if entry.kind == "DATABASE"), "")


def statements_in(text: str) -> Iterator[str]:
    """Yield the statements of *text*; semicolons within strings and names end none."""
    begun = 0
    for token in _TOKEN.finditer(text):
        if token["end"]:
            yield text[begun : token.start()]
            begun = token.end()


def grantors_of(definition: str) -> Iterator[str]:
    """Yield the roles that the grants in *definition* are made as, other than the owner."""
    for found in _GRANTOR.finditer(definition):
        name = found["name"]
        yield name[1:-1].replace('""', '"') if name.startswith('"') else name
