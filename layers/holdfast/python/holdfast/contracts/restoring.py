"""Documents that a restore keeps in the scratch bucket: its plan, its batches and what they yielded."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from holdfast.contracts.documents import PartialDigest
from holdfast.contracts.manifest import Chunk, StoredObject, TableContent
from holdfast.contracts.message import Contract
from holdfast.contracts.restore import Validation
from holdfast.model.points import Kind
from holdfast.model.slices import Way


class Locale(Contract):
    """How the new database sorts and compares; *provider* is libc, icu or builtin."""

    encoding: str
    provider: str
    collate: str
    ctype: str
    icu_locale: str | None = None
    icu_rules: str | None = None


class LeftOut(Contract):
    """Something of the archive that is not restored, and why."""

    name: str
    reason: str


class SliceDocument(Contract):
    """
    One transaction: entries of the schema dump by number, or *statements* of our own, or both.

    The entries are run in the *way* given. Those that are *unowned* stay with the role that restores. A *lasting*
    one reads whole tables, so it may take longer than anybody waits for it. *when_unready* says what becomes of one
    that reads a materialised view without rows. Large objects are created from *listed*, a chunk of their list.
    Whose list is loaded, for the ids of *described* owners, grants and comments are set, in as many transactions as
    it takes.
    """

    mark: str
    what: str
    lasting: bool = False
    way: Way = Way.WHOLE
    when_unready: Literal["fail", "leave", "tell"] = "fail"
    entries: tuple[int, ...] = ()
    unowned: tuple[int, ...] = ()
    statements: tuple[str, ...] = ()
    listed: Chunk | None = None
    described: tuple[int, int | None] | None = None


class ChunkToLoad(Contract):
    """One chunk of the table with index *table* in the manifest's contents; *number* is unique in the restore."""

    number: int
    table: int
    chunk: Chunk


class FinishBatch(Contract):
    """
    What one invocation of `restore.finish` runs, in order, or the *chunks* that it loads: of rows that come late.

    *contents* are what the chunks are of, as in `LoadBatch`.
    """

    stage: str
    batch: int
    slices: tuple[SliceDocument, ...] = ()
    chunks: tuple[ChunkToLoad, ...] = ()
    contents: dict[int, TableContent] = Field(default_factory=dict)


class LoadBatch(Contract):
    """
    What one invocation of `restore.load` loads.

    *contents* are what the chunks are of, by index in the manifest's contents, without any chunks. All of the
    manifest would be too much to read for every batch: it grows with the tables, as the number of batches does.
    """

    batch: int
    chunks: tuple[ChunkToLoad, ...]
    contents: dict[int, TableContent]


class PartToProve(Contract):
    """The *part*-th of *parts* equal shares of the blocks of one of the manifest's contents."""

    table: int
    part: int
    parts: int


class ProveBatch(Contract):
    """What one invocation of `restore.prove` reads back; *contents* are as in `LoadBatch`."""

    batch: int
    parts: tuple[PartToProve, ...]
    contents: dict[int, TableContent]


class BatchResult(Contract):
    """When a batch was done; it exists only when all of the batch is. *notes* are for the report."""

    batch: int
    started_at: datetime
    finished_at: datetime
    notes: tuple[str, ...] = ()


class ProveResult(BatchResult):
    """What reading back one batch yielded."""

    digests: tuple[PartialDigest, ...]


class ProveProgress(Contract):
    """
    What a batch that outlives its function has read back: whole shares, and the first rows of the next one.

    *fruitless* counts the invocations in a row that brought nothing.
    """

    digests: tuple[PartialDigest, ...] = ()
    begun: PartialDigest | None = None
    fruitless: int = 0


class Progress(Contract):
    """
    What a batch is at that takes long: the *sentence* for people, and per cent where the server counts them.

    *seconds* is how long the statement had run at *seen_at*. *ended* means that it runs no more.
    """

    stage: str
    batch: int
    sentence: str
    percent: float | None = None
    seconds: float = 0.0
    seen_at: datetime
    ended: bool = False


class StageSummary(Contract):
    """How much a stage has to do."""

    name: str
    batches: int
    slices: int


class BytesRead(Contract):
    """How much was read of the archive: of its *chunks*, and of what lies *beside* them."""

    chunks: int = 0
    beside: int = 0

    def __add__(self, other: BytesRead) -> BytesRead:
        """Return both together."""
        return BytesRead(chunks=self.chunks + other.chunks, beside=self.beside + other.beside)

    def __sub__(self, other: BytesRead) -> BytesRead:
        """Return what was read since *other* was."""
        return BytesRead(chunks=self.chunks - other.chunks, beside=self.beside - other.beside)


class Part(Contract):
    """
    What of a point is restored.

    *kind* is `schema`, `data` or `full`, that is both. *whole* tells that it is all that the point has. *words* says
    for people what was chosen by name. *entries* are the numbers of the schema dump's entries, or None for all.
    *schemas_added* are created although the dump lacks them. *quiet* tells that triggers must not see the rows:
    they are there before when only rows are restored.
    """

    kind: str
    whole: bool
    words: str = ""
    entries: tuple[int, ...] | None = None
    schemas_added: tuple[str, ...] = ()
    quiet: bool = False

    @property
    def by_name(self) -> bool:
        """Whether some of it was chosen by name."""
        return bool(self.words)

    @property
    def rows_only(self) -> bool:
        """Whether rows go into tables that the database has already."""
        return self.kind == Kind.DATA

    @property
    def lock_timeout(self) -> str:
        """How long a session may wait for a lock: in tables that others use, whoever waits lets others wait."""
        return "10s" if self.rows_only else "0"


class RestorePlan(Contract):
    """
    `plan.json` of a restore: what was assessed, and what every later step needs to know.

    *manifest* pins the manifest that was verified, *verification* what its verification found. *target* names
    the server for people. *secret* is the name of the secret that has the target's connection parameters, and
    *own_server* tells whether that is the source's. *loses_seconds* is the time between the point and the plan.
    *roles_missing* will be created, *roles_to_join* granted to *role*, which restores; for *roles_foreign* it may not
    act. *roles_absent* are a provider's own, and not there. *part* is what of the point is restored, whose chunks
    have *bytes_of_point*; *concurrency* batches run side by side.
    """

    restore_id: str
    execution: str
    reason: str
    database: str
    provider: str
    point_id: str
    point_state: str
    taken_at: datetime
    planned_at: datetime
    loses_seconds: float
    manifest: StoredObject
    verification: StoredObject
    into: str
    target: str
    secret: str
    own_server: bool
    target_version: int
    source_version: int
    settings: dict[str, str] = Field(default_factory=dict)
    role: str
    superuser: bool
    database_exists: bool
    locale: Locale
    part: Part
    bytes_of_point: int
    roles_missing: tuple[str, ...]
    roles_to_join: tuple[str, ...]
    roles_foreign: tuple[str, ...]
    roles_absent: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]
    tables: int
    large_objects: bool = False
    rows: int
    bytes_plain: int
    bytes_stored: int
    chunks: int
    before: tuple[SliceDocument, ...]
    schema_entries: int
    stages: tuple[StageSummary, ...]
    concurrency: int = 1

    def beside(self, stage: str) -> int:
        """Return how many batches of *stage* run at once."""
        return min(self.concurrency, next((each.batches for each in self.stages if each.name == stage), 1))

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what is foreseen to be otherwise than in the source, and what is left out."""
        return (*self.warnings, *(f"Left out: {item.name}. {item.reason}" for item in self.left_out))

    @property
    def other_major(self) -> bool:
        """Return whether source and target are of different major versions."""
        return self.target_version // 10_000 != self.source_version // 10_000


class TableProof(Contract):
    """One table: rows and digest as archived and as restored."""

    schema_name: str
    name: str
    rows_archived: int
    rows_restored: int
    digest_archived: str
    digest_restored: str
    equal: bool


class Comparison(Contract):
    """`comparison.json`: everything that was compared; *notes* tell what was not, or differs by nature."""

    restore_id: str
    compared_at: datetime
    proven: bool
    tables: tuple[TableProof, ...]
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    schema_entries: int
    sequences: int
    large_objects: int


class Step(Contract):
    """One thing that the report's timeline shows."""

    name: str
    started_at: datetime
    ended_at: datetime


class Rates(Contract):
    """Bytes of COPY text per second, by the wall clock."""

    load_bytes_per_second: float | None = None
    prove_bytes_per_second: float | None = None


class RestoreReport(Contract):
    """`report.json`: how a restore went, for people and for the catalogue; *notes* tell what to know beside."""

    restore_id: str
    execution: str
    database: str
    succeeded: bool
    sentence: str
    error: str = ""
    cause: str = ""
    reported_at: datetime
    plan: RestorePlan | None = None
    comparison: Comparison | None = None
    notes: tuple[str, ...] = ()
    timeline: tuple[Step, ...] = ()
    rates: Rates = Rates()
    bytes_read: BytesRead = BytesRead()
    validation: Validation | None = None
