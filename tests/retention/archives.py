"""An archive in memory with points and chunks, and a collection of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fakes import MemoryArchive, MemoryExecutions, MemoryHolds, MemoryPoints, MemoryScratch
from holdfast.archive.sealing import canonical
from holdfast.contracts.manifest import Chunk, Manifest, Snapshot, Source, StoredObject, TableContent
from holdfast.contracts.retention import Collected, CollectRequest
from holdfast.model.keys import MANIFEST, ArchiveKeys
from holdfast.model.points import PointState, RecoveryPoint, Tier, point_id
from holdfast.usecases.retention.collect import Collection

DATABASE = "shop"
KEYS = ArchiveKeys(DATABASE)
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Shelf:
    """The ports, and what tests do with them; `archive.today` is S3's clock."""

    archive: MemoryArchive = field(default_factory=lambda: MemoryArchive(page_keys=2))
    scratch: MemoryScratch = field(default_factory=MemoryScratch)
    points: MemoryPoints = field(default_factory=MemoryPoints)
    holds: MemoryHolds = field(default_factory=MemoryHolds)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)

    def __post_init__(self) -> None:
        self.archive.today = START

    def pass_days(self, days: float) -> None:
        self.archive.today += days * DAY

    def chunk(self, text: str, *, days: float = 30) -> Chunk:
        """Store a chunk, locked for *days*, as a backup does."""
        body = text.encode()
        until = self.archive.today + days * DAY
        stored = self.archive.put(KEYS.chunk(sha(text)), body, sha256=sha(text), retain_until=until)
        return Chunk(
            sha256=sha(text),
            version_id=stored.version_id,
            rows=1,
            plain=len(body),
            stored=len(body),
            first_block=0,
            end_block=None,
            part=0,
        )

    def point(self, *chunks: Chunk, state: PointState = PointState.INTACT, days: float = 30) -> RecoveryPoint:
        """Seal a point of *chunks*, which ends in *state*."""
        number = len(self.points.points)
        name = point_id(DATABASE, START + timedelta(seconds=number), f"{number:06x}")
        body = canonical(manifest_of(name, chunks))
        digest = hashlib.sha256(body).hexdigest()
        until = self.archive.today + days * DAY
        stored = self.archive.put(KEYS.of_point(name, MANIFEST), body, sha256=digest, retain_until=until)
        point = RecoveryPoint(
            id=name,
            database=DATABASE,
            tier=Tier.MANUAL,
            kind="full",
            state=state,
            started_at=START,
            taken_at=START,
            execution=f"arn:{name}",
            captured_at=START,
            manifest_version=stored.version_id,
            manifest_sha256=digest,
        )
        self.points.points[name] = point
        return point

    def collect(
        self,
        run: str = "run",
        *,
        dry_run: bool = False,
        seconds_left: Callable[[], float] = lambda: 900,
        rounds: int = 1,
        replica: MemoryArchive | None = None,
    ) -> Collected:
        """Invoke the function *rounds* times, as the machine does."""
        execution = f"arn:{run}"
        self.executions.alive.add(execution)
        request = CollectRequest(database=DATABASE, dry_run=dry_run, execution=execution, run=run)
        for _ in range(rounds):
            collected = Collection(
                points=self.points,
                holds=self.holds,
                executions=self.executions,
                archive=self.archive,
                versions=self.archive,
                scratch=self.scratch,
                now=lambda: self.archive.today,
                seconds_left=seconds_left,
                replica=replica,
            ).run(request)
        return collected

    def there(self, chunk: Chunk) -> bool:
        """Answer whether the version is still in the archive."""
        return any(one.id == chunk.version_id for one in self.archive.versions.get(KEYS.chunk(chunk.sha256), []))


def manifest_of(point: str, chunks: tuple[Chunk, ...]) -> Manifest:
    nothing = StoredObject(key="k", version_id="v", sha256=sha(""), size=0)
    return Manifest(
        point_id=point,
        database=DATABASE,
        provider="postgres",
        tier="manual",
        kind="full",
        holdfast_version="0",
        client_version="18.0",
        started_at=START,
        sealed_at=START,
        source=Source(
            database_name="shop",
            server_version=180000,
            server_version_text="18.0",
            encoding="UTF8",
            collate="C",
            ctype="C",
            size=1,
        ),
        snapshot=Snapshot(taken_at=START, lsn="0/1"),
        settings={},
        schema_dump=nothing,
        schema_fingerprint="",
        globals_sql=nothing,
        roles=(),
        extensions=(),
        tables=(TableContent(schema_name="public", name="t", columns=("a",), rows=1, plain=1, chunks=chunks),),
        sequences=(),
    )
