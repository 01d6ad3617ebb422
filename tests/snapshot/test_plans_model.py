"""Planners, copies, time-outs and crashes of one attempt in any order: what is sealed is each row of a plan once."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, Self

import pytest
import zstandard

from fakes import MemoryArchive, MemorySigner
from holdfast.archive import writing
from holdfast.archive.pieces import Buffers, Piece
from holdfast.contracts.backup import BackupRequest, DumpRequest, PlanRequest, PointRequest
from holdfast.contracts.documents import BackupPlan, DumpBatch, SchemaResult, TablePlan
from holdfast.contracts.manifest import Manifest, Snapshot, Source
from holdfast.errors import DatabaseUnreachable, HoldfastError, Permanent, StillWorking
from holdfast.model import planning
from holdfast.model.keys import GLOBALS, MANIFEST, ROLES, SCHEMA, RunKeys
from holdfast.model.points import Kind
from holdfast.model.tables import BlockRange
from holdfast.ports.catalogue import Hold
from holdfast.usecases.snapshot import copy, plan, seal, start
from holdfast.usecases.snapshot.access import SnapshotAccess
from holdfast.usecases.snapshot.dump import BatchDump
from holdfast.usecases.snapshot.start import start_backup
from retention.archives import DATABASE, KEYS, Shelf
from retention.interleaving import Invocation, Killed, Stepwise
from retention.play import PROTECTED, ModelSealing

BLOCKS = 6
"""Of each table; a block has one row, and a row is a chunk."""
TABLES = ("a", "b", "c")
MOVES = 400
_QUERY = re.compile(r'"public"\."(\w)"(?: WHERE (?:ctid >= \'\((\d+),\d\)\')?(?: AND )?(?:ctid < \'\((\d+),0\)\')?)?')


class ModelSession:
    """A copying session over rows that are made up: they tell their table and block. It breaks when chance says so."""

    chance: random.Random

    def __init__(self, *_: Any, **__: Any) -> None:
        self._asked: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End nothing."""

    def open(self) -> None:
        """Begin nothing."""

    def close(self) -> None:
        """End nothing."""

    def ask(self, queries: Iterable[str]) -> None:
        self._asked = list(queries)

    def answer(self, *, what: str) -> Iterator[Piece]:
        del what
        name, first, end = self._found(self._asked.pop(0))
        for block in range(first, end):
            yield _piece(f"{name} {block}")
            if self.chance.random() < 0.15:
                raise self.chance.choice([StillWorking, DatabaseUnreachable])("It broke.")

    def rows(self, query: str, *, what: str) -> Iterator[Piece]:
        if "OFFSET" not in query:
            self.ask([query])
            return self.answer(what=what)
        _, first, end = self._found(query)
        skipped = int(query.split()[-3])
        return iter([_piece(f"({first + skipped},1)")] if first + skipped < end else [])

    @staticmethod
    def _found(query: str) -> tuple[str, int, int]:
        found = _QUERY.search(query)
        assert found, query
        return found[1], int(found[2] or 0), int(found[3] or BLOCKS)


class ModelDump(BatchDump):
    """The worker, without a server that has a schema."""

    def _schema(self, request: DumpRequest, batch: DumpBatch) -> SchemaResult:
        del batch
        return SchemaResult(
            schema_dump=self._kept(request.point_id, SCHEMA, b"schema"),
            globals_sql=self._kept(request.point_id, GLOBALS, b"roles"),
            roles_document=self._kept(request.point_id, ROLES, b"{}"),
            sequences=(),
            client_version="18",
        )


class Attempt:
    """One attempt to capture a point: its state machine, and every invocation that was ever begun and not ended."""

    def __init__(self, seed: int) -> None:
        self.chance = ModelSession.chance = random.Random(seed)
        self.shelf, self.signer = Shelf(archive=MemoryArchive()), MemorySigner()
        request = BackupRequest(database=DATABASE, execution="arn:1", execution_started_at=self.shelf.archive.today)
        shelf = self.shelf
        self.point_id = start_backup(
            request, protected=PROTECTED, points=shelf.points, holds=shelf.holds, executions=shelf.executions
        ).point_id
        today = self.shelf.archive.today
        self.hold = Hold(
            point_id=self.point_id,
            database=DATABASE,
            snapshot="s",
            generation=1,
            taken_at=today,
            lsn="0/1",
            opened_at=today,
            pinged_at=today,
        )
        self.shelf.holds.publish(self.hold)
        self.flying: list[tuple[str, Invocation]] = []
        self.items: list[DumpRequest] = []
        self.done: set[int] = set()
        self.failed = self.sealed = False

    def run(self) -> None:
        """Move at random, then straight on to the end."""
        for _ in range(MOVES):
            self.chance.choices([self._begin, self._step, self._kill], [3, 20, 1])[0]()
        while self.flying and not self.sealed and not self.failed:
            self._step()
        while not self.sealed and not self.failed:
            self._begin()
            self._step(500)
        while self.flying:
            self._step(500)

    def _begin(self) -> None:
        """Begin what the machine does next, or once more what it has done: it may take a planner for dead."""
        left = [item for item in self.items if item.batch not in self.done]
        kinds = ["plan"] if not self.items else ["plan", "dump", "dump", "dump"] if left else ["plan", "seal"]
        if self.sealed or self.failed or len(self.flying) > 4:
            return
        kind = self.chance.choice(kinds)
        item = self.chance.choice(left) if kind == "dump" else None
        work = {"plan": self._plan, "dump": self._dump, "seal": self._seal}[kind]
        name = kind if item is None else f"dump {item.batch}"
        self.flying.append((name, Invocation(lambda this: work(Stepwise(self.shelf.scratch, this), item))))

    def _step(self, steps: int = 0) -> None:
        if not self.flying:
            return
        name, invocation = self.chance.choice(self.flying)
        for _ in range(steps or self.chance.choice([1, 1, 3, 20])):
            invocation.step()
        if invocation.over:
            self._ended(name, invocation)

    def _kill(self) -> None:
        if self.flying:
            name, invocation = self.chance.choice(self.flying)
            invocation.kill()
            self._ended(name, invocation)

    def _ended(self, name: str, invocation: Invocation) -> None:
        self.flying.remove((name, invocation))
        error = invocation.error
        assert error is None or isinstance(error, HoldfastError | Killed), repr(error)
        if error is not None:
            self.failed |= isinstance(error, Permanent)
        elif name == "plan":
            found = plan.json.loads(self.shelf.scratch.objects[invocation.answer.items.key])
            self.items = self.items or [DumpRequest.model_validate(item) for item in found]
        elif name == "seal":
            self.sealed = True
        else:
            self.done.add(int(name.split()[1]))

    def _access(self) -> SnapshotAccess:
        return SnapshotAccess(
            self.point_id, points=self.shelf.points, holds=self.shelf.holds, sleep=lambda _: None, tries=2
        )

    def _plan(self, scratch: Any, _: object) -> Any:
        request = PlanRequest(database=DATABASE, point_id=self.point_id, concurrency=2)
        return plan.plan_backup(
            request, protected=PROTECTED, access=self._access(), scratch=scratch, seconds_left=lambda: 900.0
        )

    def _dump(self, scratch: Any, item: DumpRequest) -> Any:
        return ModelDump(
            protected=PROTECTED,
            access=self._access(),
            points=self.shelf.points,
            scratch=scratch,
            archive=self.shelf.archive,
            now=lambda: self.shelf.archive.today,
            seconds_left=lambda: 900.0,
        ).run(item)

    def _seal(self, scratch: Any, _: object) -> Any:
        return ModelSealing(
            protected=PROTECTED,
            access=self._access(),
            points=self.shelf.points,
            scratch=scratch,
            archive=self.shelf.archive,
            signer=self.signer,
            bucket="archive",
            now=lambda: self.shelf.archive.today,
            seconds_left=lambda: 900.0,
        ).run(PointRequest(database=DATABASE, point_id=self.point_id))

    def captured(self) -> dict[str, list[str]]:
        """Return the rows of each table as the manifest lists them."""
        manifest = Manifest.model_validate_json(self.shelf.archive.read(KEYS.of_point(self.point_id, MANIFEST)))
        return {
            table.name: [
                zstandard.decompress(self.shelf.archive.read(KEYS.chunk(chunk.sha256))).decode().strip()
                for chunk in table.chunks
            ]
            for table in manifest.tables
        }

    def ranges(self) -> set[tuple[str, int, int | None]]:
        """Return the ranges that the chunks of the manifest are of."""
        manifest = Manifest.model_validate_json(self.shelf.archive.read(KEYS.of_point(self.point_id, MANIFEST)))
        return {(one.name, chunk.first_block, chunk.end_block) for one in manifest.tables for chunk in one.chunks}

    def planned(self) -> set[tuple[str, int, int | None]]:
        """Return the ranges of the attempt's plan."""
        found = plan.read_plan(self.shelf.scratch, self.point_id)
        assert found
        keys = RunKeys("backup", self.point_id)
        bodies = [self.shelf.scratch.objects[keys.batch("dump", each, found.id)] for each in range(found.batches)]
        batches = [DumpBatch.model_validate_json(body) for body in bodies]
        return {(one.name, one.first_block, one.end_block) for batch in batches for one in batch.ranges}


@pytest.fixture(autouse=True)
def no_server_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what needs PostgreSQL; two threads of one invocation would make calls in an order of their own."""
    judged = SimpleNamespace(workers=2, sentence="", warning="")
    monkeypatch.setattr(start, "judge_source", lambda *_, **__: judged)
    monkeypatch.setattr(writing, "WORKERS", 1)
    monkeypatch.setattr(writing, "SMALL_WORKERS", 1)
    monkeypatch.setattr(plan, "_WRITERS", 1)
    monkeypatch.setattr(seal, "_READERS", 1)
    monkeypatch.setattr(copy, "CopySession", ModelSession)
    monkeypatch.setattr(plan, "_listed", _listed)
    monkeypatch.setattr(plan, "_table_pieces", lambda *_: [])
    monkeypatch.setattr(plan, "group", _group)


def _listed(request: PlanRequest, kind: str, hold: Hold, *_: Any) -> tuple[BackupPlan, list[planning.Piece]]:
    """Cut every table anew, as sizes that have changed do."""
    chance = ModelSession.chance
    pieces = []
    for table in range(len(TABLES)):
        cuts = sorted(chance.sample(range(1, BLOCKS), chance.choice([0, 0, 1, 2])))
        for first, end in zip([0, *cuts], [*cuts, None], strict=True):
            pieces.append(planning.Piece(table, BlockRange(first, end), chance.choice([1, copy.SMALL_BYTES + 1])))
    chance.shuffle(pieces)
    found = BackupPlan(
        id="",
        point_id=request.point_id,
        database=DATABASE,
        kind=Kind(kind),
        source=Source(
            database_name="shop",
            server_version=180000,
            server_version_text="18",
            encoding="UTF8",
            collate="C",
            ctype="C",
            size=1,
        ),
        snapshot=Snapshot(taken_at=hold.taken_at, lsn=hold.lsn),
        settings={},
        tables=tuple(
            TablePlan(schema_name="public", name=name, columns=("n",), blocks=BLOCKS, bytes=1) for name in TABLES
        ),
        extensions=(),
        roles=(),
        materialised_views=(),
        fingerprint="",
        batches=0,
        ranges=0,
    )
    return found, pieces


def _group(pieces: list[planning.Piece], *, workers: int) -> list[list[planning.Piece]]:
    cut = ModelSession.chance.randint(1, len(pieces))
    return [part for part in (pieces[:cut], pieces[cut:]) if part][:workers]


def _piece(row: str) -> Piece:
    text = bytearray(f"{row}\n".encode())
    return Piece(text, len(text), Buffers(0))


@pytest.mark.parametrize("seeds", [range(start, start + 50) for start in range(0, 200, 50)], ids=str)
def test_what_is_sealed_is_each_range_of_one_plan_once(seeds: range) -> None:
    sealed = 0
    for seed in seeds:
        attempt = Attempt(seed)
        attempt.run()

        if attempt.sealed:
            sealed += 1
            assert attempt.captured() == {name: [f"{name} {n}" for n in range(BLOCKS)] for name in TABLES}, seed
            assert attempt.ranges() == attempt.planned(), seed

    assert sealed == len(seeds)
