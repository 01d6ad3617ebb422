"""Documents that a run keeps in the scratch bucket: plans before the work, results after it."""

from __future__ import annotations

from datetime import datetime

from holdfast.contracts.manifest import (
    Chunk,
    Extension,
    MaterialisedView,
    Sequence,
    Snapshot,
    Source,
    StoredObject,
)
from holdfast.contracts.message import Contract
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.model.points import Kind


class TablePlan(Contract):
    """
    A table to copy, in the order of the manifest, with its columns' *types*.

    Its *oid* tells it from another that gets its name meanwhile. *blocks* and *bytes* are its heap's size at planning.
    """

    schema_name: str
    name: str
    oid: int = 0
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    condition: str = ""
    load_into: tuple[str, str] | None = None
    blocks: int
    bytes: int


class Steps(Contract):
    """
    By how many blocks the last backup of a database cut each table of more than one range (schema, name, blocks).

    *point_id* is that backup's.
    """

    point_id: str = ""
    tables: tuple[tuple[str, str, int], ...] = ()


class RangePlan(Contract):
    """
    One range of the table with index *table* in the plan; -1 is what large objects hold, -2 the list of them.

    Nothing but the table with the *oid* is read, whatever has its name by then; 0 is any.
    """

    table: int
    schema_name: str
    name: str
    oid: int = 0
    columns: tuple[str, ...]
    condition: str = ""
    first_block: int = 0
    end_block: int | None = None
    bytes: int


class BackupPlan(Contract):
    """
    `plan.json` of a backup, written once: everything that sealing compares the results with.

    *id* is made of all that was planned, the cuts of its batches too: sizes are read live, so no two planners need
    agree, and what was done for one plan never counts in another. *bytes* is the estimated work.
    *kind* is the point's: of a schema point nothing but definitions is listed, of a data point there is no dump.
    *large_objects_from* is what large objects are read from: the table of pages, or a function that yields pieces;
    *large_object_owners* is absent where there are none.
    """

    id: str
    point_id: str
    database: str
    kind: str = Kind.FULL
    selection: Selection = EVERYTHING
    without_rows: tuple[tuple[str, str], ...] = ()
    source: Source
    snapshot: Snapshot
    settings: dict[str, str]
    tables: tuple[TablePlan, ...]
    large_object_owners: tuple[str, ...] | None = None
    large_objects_from: str = "pg_largeobject"
    extensions: tuple[Extension, ...]
    roles: tuple[str, ...]
    materialised_views: tuple[MaterialisedView, ...]
    sequences: tuple[Sequence, ...] = ()
    fingerprint: str
    batches: int
    ranges: int
    bytes: int = 0


class DumpBatch(Contract):
    """
    One batch: either the schema (batch 0) or some ranges, and the *settings* under which they are read.

    *taken_at* is the moment of the snapshot that was planned; no batch may be of another, nor of another *plan*.
    """

    plan: str
    batch: int
    taken_at: datetime
    schema_dump: bool = False
    settings: dict[str, str]
    ranges: tuple[RangePlan, ...] = ()


class CopiedChunk(Chunk):
    """A chunk as it was stored, with the *table* whose rows it holds, by its index in the plan."""

    table: int

    def listed(self) -> Chunk:
        """Return it as the manifest lists it, below its table."""
        return Chunk(**self.model_dump(exclude={"table"}))


class RangeResult(Contract):
    """The chunks that one range became; an empty range has none."""

    table: int
    first_block: int
    end_block: int | None
    chunks: tuple[CopiedChunk, ...]
    new_bytes: int

    def is_of(self, planned: RangePlan) -> bool:
        """Answer whether this, and each chunk of it, is of the range *planned*, and of no other."""
        own = (planned.table, planned.first_block, planned.end_block)
        return (self.table, self.first_block, self.end_block) == own and all(
            (chunk.table, chunk.first_block, chunk.end_block) == own for chunk in self.chunks
        )


class DumpProgress(Contract):
    """
    What a batch did before its function's time was up: whole *ranges*, and the first chunks of the one after them.

    *fruitless* counts the invocations, up to now, that brought nothing more; *taken_at* is the snapshot's moment.
    Nothing of it counts in another *plan*.
    """

    plan: str
    taken_at: datetime
    ranges: tuple[RangeResult, ...] = ()
    begun: RangeResult | None = None
    fruitless: int = 0


class SchemaResult(Contract):
    """What the schema batch wrote; for a data point there is no dump."""

    schema_dump: StoredObject | None
    globals_sql: StoredObject
    roles_document: StoredObject
    sequences: tuple[Sequence, ...]
    client_version: str


class DumpResult(Contract):
    """What one batch of *plan* did; written once, when all of it is done."""

    plan: str
    batch: int
    ranges: tuple[RangeResult, ...] = ()
    schema_result: SchemaResult | None = None
    finished_at: datetime


class ChunkToCheck(Contract):
    """One chunk to read back; *table* is its index in the manifest's contents."""

    table: int
    what: str
    chunk: Chunk


class CheckBatch(Contract):
    """Chunks for one invocation of `verify.check`; objects beside chunks are checked by the planner itself."""

    batch: int
    chunks: tuple[ChunkToCheck, ...]


class PartialDigest(Contract):
    """Rows and digest (hex) of some chunks or ranges of one table; partial digests add up."""

    table: int
    rows: int
    digest: str


class CheckResult(Contract):
    """What reading back one batch yielded; *faults* are (what, problem) pairs, *digest_key* the key's fingerprint."""

    batch: int
    digests: tuple[PartialDigest, ...]
    faults: tuple[tuple[str, str], ...] = ()
    plain: int
    digest_key: str = ""
