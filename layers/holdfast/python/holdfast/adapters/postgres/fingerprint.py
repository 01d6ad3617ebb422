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

Within one database more can be told than whether two are equal: whether all that a snapshot sees is still there, word
for word, whatever has been added since. So each line is kept, with the identity of its object where a name alone could
be taken over by another.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg import errors
from psycopg.pq import TransactionStatus

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint_details import DETAILS
from holdfast.adapters.postgres.fingerprint_queries import EXTENSIONS, PRIVILEGES, STRUCTURE
from holdfast.errors import DatabaseBusy

VERSION = "1"
_FETCH = 10_000
_TRIES = 5
"""How often a query is asked that an object vanishes under: who drops tables all the time must not stop a backup."""

Lines = Mapping[str, "array[int]"]
"""Eight bytes of the digest of each object's definition with its identity, sorted, by the kind of object."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The fingerprint, and the *lines* that a backup's rows and pg_dump's texts depend on: all but privileges."""

    fingerprint: str
    lines: Lines


def fingerprint(connection: Connection) -> str:
    """Return the fingerprint of the database that *connection* is in; raises what `read_schema` raises."""
    return read_schema(connection).fingerprint


def read_schema(connection: Connection) -> Schema:
    """
    Return what the schema of the database that *connection* is in is made of.

    Names are written in full, so search_path is emptied for the session. Inside a transaction the objects are
    those of its snapshot; some definitions are always the newest. Outside of one, what is dropped while it is written
    down is no error; raises `DatabaseBusy` when that happens again and again.
    """
    for name, value in (("search_path", ""), ("quote_all_identifiers", "off")):
        connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, value))
    parts = (STRUCTURE, PRIVILEGES, EXTENSIONS, DETAILS)
    lines: dict[str, array[int]] = {}
    hashes = [_hash(connection, queries, {} if queries is PRIVILEGES else lines) for queries in parts]
    return Schema(":".join([VERSION, *hashes]), lines)


def gone(before: Lines, now: Lines) -> tuple[str, ...]:
    """Return the kinds of which something that was there *before* is not, or not as it was; what is new is not told."""
    return tuple(kind for kind, lines in before.items() if not _all_in(lines, now.get(kind, ())))


def compact(digests: Iterable[bytes]) -> array[int]:
    """Return what `gone` compares of *digests*: a million objects are 8 MB."""
    return array("Q", sorted(map(_short, digests)))


def _short(digest: bytes) -> int:
    return int.from_bytes(digest[:8])


def _all_in(some: Iterable[int], more: Iterable[int]) -> bool:
    rest = iter(more)
    return all(one in rest for one in some)  # each search goes on where the last one ended: both are sorted


def same_structure(one: str, other: str) -> bool:
    """Answer whether two fingerprints agree on everything but privileges and extensions' versions."""
    return one.split(":")[:2] == other.split(":")[:2]


def _hash(connection: Connection, queries: Iterable[tuple[str, str]], kept: dict[str, array[int]]) -> str:
    """Return the hash of what *queries* yield, and put the lines with their objects' identities into *kept*."""
    total = hashlib.sha256()
    for name, query in queries:
        lines, known = _lines(connection, query)
        kept[name] = array("Q", sorted([*kept.get(name, ()), *known]))
        # Sorted here: the server's order depends on its collation.
        lines.sort()
        total.update(f"{name}\n{len(lines)}\n".encode())
        total.update(b"".join(lines))
    return total.hexdigest()[:32]


def _lines(connection: Connection, query: str) -> tuple[list[bytes], array[int]]:
    """
    Return a digest of each line of *query*, and one of each with its object's identity.

    An object that is dropped while the server writes it down is an internal error there. Within a snapshot it stays
    one: what the snapshot sees is gone for good.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        return _asked(connection, query)
    for _ in range(_TRIES):
        try:
            return _asked(connection, query)
        except errors.InternalError_ as error:
            failure = error
    raise DatabaseBusy("Objects are dropped so often that the definitions could not be read.") from failure


def _asked(connection: Connection, query: str) -> tuple[list[bytes], array[int]]:
    lines: list[bytes] = []
    known = array("Q")
    with connection.cursor() as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(_FETCH):
            for text, *identity in rows:
                lines.append(digest := hashlib.sha256(str(text).encode()).digest())
                known.append(_short(hashlib.sha256(digest + str(identity).encode()).digest() if identity else digest))
    return lines, known
