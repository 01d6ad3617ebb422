"""Batches that outlive their function: what is done is not done again, and every row is there exactly once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from fakes import MemoryArchive
from holdfast.adapters.postgres import copying
from holdfast.contracts.backup import DumpRequest
from holdfast.contracts.documents import DumpProgress, DumpResult
from holdfast.contracts.manifest import Manifest
from holdfast.errors import BackupIncomplete, RowTooLong, StillWorking, StorageThrottled
from holdfast.model.keys import RunKeys
from holdfast.ports.storage import Stored
from holdfast.usecases.snapshot.plan import read_plan
from snapshot.rig import Rig
from snapshot.servers import Databases

CHUNK = 64 * 1024
SCRIPTS = (
    "CREATE TABLE wide AS SELECT n, repeat(md5(n::text), 300) AS text FROM generate_series(1, 300) n",
    "CREATE TABLE narrow AS SELECT n FROM generate_series(1, 60000) n",
    "CREATE TABLE gaps AS SELECT n FROM generate_series(1, 90000) n; DELETE FROM gaps WHERE n % 3 = 0",
    "CREATE TABLE columnless (); INSERT INTO columnless SELECT FROM generate_series(1, 100)",
    *(f"CREATE TABLE small_{n} AS SELECT {n} AS n WHERE {n} % 2 = 0" for n in range(70)),
    "SELECT lo_from_bytea(0, convert_to(repeat(md5(n::text), 5000), 'UTF8')) FROM generate_series(1, 5) n",
)


class Counting(MemoryArchive):
    """An archive that counts the chunks it was asked for."""

    asked = 0

    def find(self, key: str, *, retain_until: datetime | None = None) -> Stored | None:
        self.asked += 1
        return super().find(key, retain_until=retain_until)


@pytest.fixture
def rig(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Return a rig in which a chunk has at most 64 KiB."""
    monkeypatch.setattr(copying, "CHUNK_BYTES", CHUNK)
    return Rig(databases.create(*SCRIPTS), concurrency=1, archive=Counting())


def lasting(rig: Rig, chunks: int) -> Callable[[], float]:
    """Return a clock by which an invocation's time is up after *chunks* more chunks."""
    archive = rig.archive
    assert isinstance(archive, Counting)
    end = archive.asked + chunks
    return lambda: 900.0 if archive.asked < end else 0.0


def outlive(rig: Rig, request: DumpRequest, chunks: int) -> int:
    """Repeat a batch, as the state machine does, until it is done; return how often its time was up."""
    for interruptions in count():
        try:
            rig.dump(request, lasting(rig, chunks))
        except StillWorking:
            continue
        return interruptions
    raise AssertionError


def stuck() -> Callable[[], float]:
    """Return a clock by which an invocation's time is up as soon as it has begun."""
    looks = count()
    return lambda: 900.0 if next(looks) == 0 else 0.0


def content(manifest: Manifest) -> dict[str, list[tuple[str, int, int]]]:
    return {each.name: [(chunk.sha256, chunk.rows, chunk.part) for chunk in each.chunks] for each in manifest.contents}


def test_an_interrupted_copy_has_the_chunks_of_one_that_nothing_interrupted(rig: Rig) -> None:
    whole = content(rig.manifest(rig.backup().id))
    started = rig.start()

    with rig.holding(started.point_id):
        items = rig.items(rig.plan(started.point_id).items.key)
        interruptions = [outlive(rig, DumpRequest.model_validate(item), chunks=8) for item in items]
        rig.seal(started.point_id)

    assert max(interruptions) >= 5
    assert content(rig.manifest(started.point_id)) == whole
    assert len(whole["wide"]) > 5 < len(whole["gaps"])
    assert rig.verify(started.point_id).intact


def test_what_a_former_invocation_copied_is_not_read_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    original = copying.CopySession.ask

    def noted(session: copying.CopySession, queries: object) -> None:
        asked.append("\n".join(listed := list(queries)))  # type: ignore[call-overload]
        original(session, listed)

    started = rig.start()
    with rig.holding(started.point_id):
        rig.plan(started.point_id)
        plan = read_plan(rig.scratch, started.point_id)
        assert plan
        request = rig.request(started.point_id, 1)
        with pytest.raises(StillWorking):
            rig.dump(request, lasting(rig, 20))
        monkeypatch.setattr(copying.CopySession, "ask", noted)
        rig.dump(request)

    body = rig.scratch.read(RunKeys("backup", started.point_id).progress("dump", 1))
    progress = DumpProgress.model_validate_json(body or b"")
    assert progress.begun
    names = [f'"public"."{table.name}"' for table in plan.tables]
    begun, whole = names[progress.begun.table], [names[done.table] for done in progress.ranges]
    rows = sum(chunk.rows for chunk in progress.begun.chunks)
    assert asked[0].startswith(f"SELECT ctid FROM ONLY {begun} WHERE ")
    assert asked[0].endswith(f" OFFSET {rows} LIMIT 1")
    assert f"FROM ONLY {begun} WHERE " in asked[1]
    assert " AND ctid >= '(" in asked[1]
    assert whole, "the clock leaves time for a whole table"
    assert not [name for name in (begun, *whole) if name in "".join(asked[2:])]


def test_a_batch_that_gets_nowhere_ends_and_names_its_range(rig: Rig) -> None:
    started = rig.start()
    with rig.holding(started.point_id):
        rig.plan(started.point_id)
        request = rig.request(started.point_id, 1)
        for _ in range(2):
            with pytest.raises(StillWorking):
                rig.dump(request, stuck())

        with pytest.raises(BackupIncomplete, match=r"3 invocations in a row could not read .* of public\.\w+ \("):
            rig.dump(request, stuck())


def test_a_fault_counts_only_when_nothing_was_copied_since_the_last(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    find, left = rig.archive.find, [20]

    def breaking(key: str, **named: Any) -> Stored | None:
        if left[0] == 0:
            raise StorageThrottled("Slow down.")
        left[0] -= 1
        return find(key, **named)

    monkeypatch.setattr(rig.archive, "find", breaking)
    started = rig.start()
    with rig.holding(started.point_id):
        rig.plan(started.point_id)
        request = rig.request(started.point_id, 1)

        with pytest.raises(StillWorking, match=r"Slow down\. What was copied before counts\."):
            rig.dump(request)
        with pytest.raises(StorageThrottled):
            rig.dump(request)


def test_progress_is_no_result(rig: Rig) -> None:
    started = rig.start()
    with rig.holding(started.point_id):
        planned = rig.plan(started.point_id)
        for item in rig.items(planned.items.key)[1:]:
            with pytest.raises(StillWorking):
                rig.dump(DumpRequest.model_validate(item), lasting(rig, 8))
        assert rig.scratch.read(RunKeys("backup", started.point_id).progress("dump", 1))

        with pytest.raises(BackupIncomplete):
            rig.seal(started.point_id)


def test_progress_under_another_snapshot_does_not_count(rig: Rig) -> None:
    started = rig.start()
    with rig.holding(started.point_id):
        rig.plan(started.point_id)
        request = rig.request(started.point_id, 1)
        with pytest.raises(StillWorking):
            rig.dump(request, lasting(rig, 20))
        key = RunKeys("backup", started.point_id).progress("dump", 1)
        progress = DumpProgress.model_validate_json(rig.scratch.objects[key])
        earlier = progress.model_copy(update={"taken_at": progress.taken_at - timedelta(seconds=1)})
        rig.scratch.objects[key] = earlier.model_dump_json().encode()
        before = rig.archive.asked  # type: ignore[attr-defined]

        rig.dump(request)

    result = DumpResult.model_validate_json(rig.scratch.objects[RunKeys("backup", started.point_id).result("dump", 1)])
    assert rig.archive.asked - before >= sum(len(one.chunks) for one in result.ranges)  # type: ignore[attr-defined]


# 1.28 billion bits are as many characters as text, and 160 MB as they are.
MANY_BITS = """
    CREATE TABLE films (id int, bits varbit);
    INSERT INTO films VALUES (1);
    WITH a AS (SELECT 0::bit(80000000)::varbit AS b), b AS (SELECT b || b AS b FROM a),
         c AS (SELECT b || b AS b FROM b), d AS (SELECT b || b AS b FROM c)
    INSERT INTO films SELECT 2, b || b FROM d;
"""


def test_a_row_beyond_a_gigabyte_of_text_fails_the_batch_and_is_named(databases: Databases) -> None:
    rig = Rig(databases.create(MANY_BITS))
    started = rig.start()
    with rig.holding(started.point_id):
        rig.plan(started.point_id)

        with pytest.raises(RowTooLong, match=r'A row of "public"\."films" .* 1 GB.*\(ctid \(0,2\);') as failure:
            rig.dump(rig.request(started.point_id, 1))

    assert "WHERE ctid = '(0,2)'" in failure.value.hint
