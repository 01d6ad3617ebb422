"""
Take a database schema's fingerprint: a text that DDL which matters to rows changes, and a faithful restore reproduces.

Not all DDL does: owners of publications, text search, operators and the like are in none of its queries. pg_dump reads
those under the backup's snapshot, but for what the server tells as it is now.

It is made of names and definitions, never of oids, so that the same schema has it wherever it is. Four parts,
each 128 bits of a SHA-256: structure, privileges (owners and grants), extensions with their versions, and details
that are compared on the same database only, as `1:<structure>:<privileges>:<extensions>:<details>`.
Objects of extensions, temporary ones and our own marks are left out.
Definitions come from the server's own functions, whose texts differ between major versions: compare fingerprints
of the same major only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint_details import DETAILS
from holdfast.adapters.postgres.fingerprint_queries import EXTENSIONS, PRIVILEGES, STRUCTURE

VERSION = "1"
_FETCH = 10_000


def fingerprint(connection: Connection) -> str:
    """
    Return the fingerprint of the database that *connection* is in.

    Names are written in full, so search_path is emptied for the session. Inside a transaction the tables are
    those of its snapshot; some definitions are always the newest.
    """
    for name, value in (("search_path", ""), ("quote_all_identifiers", "off")):
        connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
    parts = (STRUCTURE, PRIVILEGES, EXTENSIONS, DETAILS)
    return ":".join([VERSION, *(_hash(connection, queries) for queries in parts)])


def same_structure(one: str, other: str) -> bool:
    """Answer whether two fingerprints agree on everything but privileges and extensions' versions."""
    return one.split(":")[:2] == other.split(":")[:2]


def _hash(connection: Connection, queries: Iterable[tuple[str, str]]) -> str:
    total = hashlib.sha256()
    for name, query in queries:
        lines: list[bytes] = []
        with connection.cursor() as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(_FETCH):
                lines += [hashlib.sha256(str(row[0]).encode()).digest() for row in rows]
        # Sorted here: the server's order depends on its collation.
        lines.sort()
        total.update(f"{name}\n{len(lines)}\n".encode())
        total.update(b"".join(lines))
    return total.hexdigest()[:32]
