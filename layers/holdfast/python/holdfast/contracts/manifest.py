"""
The manifest: everything that one recovery point consists of.

It is sealed by a signature over its SHA-256, so every object that it names is authenticated by it.
Sizes are bytes, times are UTC, hashes are hex SHA-256 of the plain bytes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from holdfast.contracts.message import Contract
from holdfast.contracts.selection import EVERYTHING, Selection

FORMAT: Final = 2
"""2 keeps the list of large objects in chunks; 1 was written before anything was deployed, and is not read."""


class StoredObject(Contract):
    """An object of the archive bucket, pinned to one version; *sha256* and *size* are of the object's own bytes."""

    key: str
    version_id: str
    sha256: str
    size: int


class Chunk(Contract):
    """
    The rows of one block range (or a part of it) of one table as COPY text, zstd, named by the plain bytes' hash.

    *end_block* is absent for the last range of a table; *part* counts the chunks of one range.
    """

    sha256: str
    version_id: str
    rows: int
    plain: int
    stored: int
    first_block: int = 0
    end_block: int | None = None
    part: int = 0


class TableContent(Contract):
    """
    One table's rows: `COPY "schema"."name" (columns) FROM STDIN` of all chunks, in any order.

    *load_into* is the schema and name of what the rows must be loaded through when it is not this table: the root
    of one that is partitioned by hash, for elsewhere its rows may belong to other partitions.
    *condition* is the WHERE clause of an extension's configuration table. *types* are those of the columns, as
    PostgreSQL writes them for an empty search path; points that were made before they were recorded have none.
    """

    schema_name: str
    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    rows: int
    plain: int
    condition: str = ""
    load_into: tuple[str, str] | None = None
    chunks: tuple[Chunk, ...]


class LargeObjects(Contract):
    """
    The large objects, of which there may be millions: *listed* has a row for each, *content* what they hold.

    Each row of *listed* is oid, owner, access list (aclitem[] as text) and comment; its chunks are of ranges of ids in
    place of blocks. *content* is pages (`pg_largeobject`), or pieces that were read through functions (`lo_get`).
    """

    owners: tuple[str, ...]
    listed: TableContent
    content: TableContent


class Sequence(Contract):
    """A sequence's value as dumped: what `setval(name, value, called)` restores."""

    schema_name: str
    name: str
    value: int
    called: bool


class Extension(Contract):
    """An extension that the source has."""

    name: str
    version: str
    schema_name: str


class MaterialisedView(Contract):
    """A populated materialised view; the list is in the order of refreshing."""

    schema_name: str
    name: str


class Source(Contract):
    """The server and database that were copied."""

    database_name: str
    server_version: int
    server_version_text: str
    system_identifier: str | None = None
    encoding: str
    collate: str
    ctype: str
    locale_provider: str = "c"
    icu_locale: str | None = None
    icu_rules: str | None = None
    size: int


class Snapshot(Contract):
    """The moment that the archive holds: *lsn* is the write-ahead log's position when the snapshot was taken."""

    taken_at: datetime
    lsn: str


class Manifest(Contract):
    """
    One recovery point, completely.

    A `schema` point lists no tables, sequences or large objects, a `data` point has no schema dump; its rows go into
    tables that have the columns listed here, in a schema whose fingerprint was *schema_fingerprint*. *selection* says
    what of the database the point has; *without_rows* are the (schema, name) pairs of tables whose rows it leaves out.
    *handbook* is the RESTORE.md that belongs to it: whoever runs its commands can tell first that they are ours.
    """

    format: Literal[2] = FORMAT
    point_id: str
    database: str
    provider: str
    tier: str
    kind: str
    selection: Selection = EVERYTHING
    without_rows: tuple[tuple[str, str], ...] = ()
    holdfast_version: str
    client_version: str
    started_at: datetime
    sealed_at: datetime
    source: Source
    snapshot: Snapshot
    settings: dict[str, str]
    schema_dump: StoredObject | None
    schema_fingerprint: str
    globals_sql: StoredObject
    roles_document: StoredObject | None = None
    handbook: StoredObject | None = None
    roles: tuple[str, ...]
    extensions: tuple[Extension, ...]
    tables: tuple[TableContent, ...]
    large_objects: LargeObjects | None = None
    sequences: tuple[Sequence, ...]
    materialised_views: tuple[MaterialisedView, ...] = ()

    @property
    def contents(self) -> tuple[TableContent, ...]:
        """Return everything that has chunks: the tables, then the large objects' content and list, if there are any."""
        found = self.large_objects
        return (*self.tables, found.content, found.listed) if found else self.tables
