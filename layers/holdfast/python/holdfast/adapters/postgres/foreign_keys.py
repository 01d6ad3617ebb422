"""
Make foreign keys that the archived rows break: unchecked ones, so that everything else can be used.

Rows break one where the source never looked: written under `session_replication_role = replica`, or while triggers
were disabled. An unchecked key holds for whatever is written from then on; comparing tells that it differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.quoting import literal
from holdfast.model.toc import TocEntry

_UNCHECKED = """
SELECT n.nspname, c.relname || ' ' || k.conname
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f' AND NOT k.convalidated
"""


def checked_where_possible(script: bytes, entries: Iterable[TocEntry]) -> bytes:
    """Return *script* with each foreign key of *entries* made unchecked when rows break it."""
    for entry in entries:
        if entry.kind == "FK CONSTRAINT":
            found = entry.definition.strip().removesuffix(";")
            script = script.replace(_encoded(f"{found};"), _encoded(f"DO {literal(_either(found))};"), 1)
    return script


def left_unchecked(connection: Connection, entries: Iterable[TocEntry]) -> Iterator[str]:
    """Yield a sentence for each foreign key of *entries* that is unchecked, but was checked in the source."""
    unchecked = {(str(schema), str(tag)) for schema, tag in connection.execute(_UNCHECKED.encode()).fetchall()}
    for entry in entries:
        as_archived = entry.definition.rstrip().endswith(("NOT VALID;", "NOT ENFORCED;"))
        if (entry.schema, entry.tag) in unchecked and not as_archived:
            yield (
                f"The {entry.name} is not validated: rows break it, in the source as here. When they are mended: "
                "ALTER TABLE … VALIDATE CONSTRAINT …;"
            )


def _either(statement: str) -> str:
    unchecked = literal(f"{statement} NOT VALID")
    return f"BEGIN EXECUTE {literal(statement)}; EXCEPTION WHEN foreign_key_violation THEN EXECUTE {unchecked}; END"


def _encoded(text: str) -> bytes:
    """Return *text* as the archive has it: its names may be in any encoding."""
    return text.encode("utf-8", "surrogateescape")
