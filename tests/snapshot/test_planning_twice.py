"""Two planners of one attempt: the first plan that is complete counts, and rows of one table never count in another."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from holdfast.adapters.postgres import copying
from holdfast.adapters.postgres.connect import connect
from holdfast.contracts.backup import DumpRequest, PlanRequest
from holdfast.contracts.documents import DumpProgress, DumpResult
from holdfast.errors import BackupIncomplete, ManifestTooLarge, StillWorking
from holdfast.model.keys import RunKeys
from holdfast.usecases.snapshot import plan as planning
from snapshot.rig import Rig
from snapshot.servers import Databases
from snapshot.test_running_out_of_time import CHUNK, Counting, lasting

TABLES = (
    "CREATE TABLE a AS SELECT n, repeat(md5(n::text), 300) AS text FROM generate_series(1, 300) n",
    "CREATE TABLE b AS SELECT n, repeat(md5((-n)::text), 300) AS text FROM generate_series(1, 300) n",
)
GROWING = b"INSERT INTO b SELECT n, repeat(md5(n::text), 300) FROM generate_series(1, 300) n"


@pytest.fixture
def rig(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Return a rig in which a chunk has at most 64 KiB."""
    monkeypatch.setattr(copying, "CHUNK_BYTES", CHUNK)
    return Rig(databases.create(*TABLES), concurrency=1, archive=Counting())


def test_a_planner_that_is_late_changes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    go, stalls, original = threading.Event(), threading.Event(), planning._listed

    def listed(*arguments: Any) -> Any:
        if threading.current_thread().name == "late":
            stalls.set()
            assert go.wait(60)
        return original(*arguments)

    monkeypatch.setattr(planning, "_listed", listed)
    answers: list[object] = []
    started = rig.start()
    with rig.holding(started.point_id):
        late = threading.Thread(target=lambda: answers.append(rig.plan(started.point_id)), name="late")
        late.start()
        assert stalls.wait(20)
        planned = rig.plan(started.point_id)
        items = [DumpRequest.model_validate(item) for item in rig.items(planned.items.key)]
        with pytest.raises(StillWorking):
            rig.dump(items[1], lasting(rig, 8))
        with connect(rig.parameters, application_name="app") as session:
            session.execute(GROWING)
        go.set()
        late.join()
        rig.dump_all(planned)
        rig.seal(started.point_id)

    first, second = rig.manifest(started.point_id).tables
    assert answers == [planned]
    assert (first.rows, second.rows) == (300, 300)
    assert not {one.sha256 for one in first.chunks} & {one.sha256 for one in second.chunks}
    assert rig.verify(started.point_id).intact


def test_a_backup_whose_manifest_nobody_could_read_is_refused_before_anything_is_copied(rig: Rig) -> None:
    started = rig.start()
    request = PlanRequest(database=started.database, point_id=started.point_id, concurrency=1)
    with rig.holding(started.point_id), pytest.raises(ManifestTooLarge, match=r"2 chunks, .* 257 MB .* have 256 MB"):
        planning.plan_backup(
            request,
            protected=rig.protected,
            access=rig.access(started.point_id),
            scratch=rig.scratch,
            seconds_left=lambda: 900.0,
            memory_mb=256,
        )

    assert planning.read_plan(rig.scratch, started.point_id) is None


@pytest.mark.parametrize("change", ["another plan's", "of another table", "of other blocks"])
def test_progress_that_is_not_of_these_ranges_does_not_count(rig: Rig, change: str) -> None:
    started = rig.start()
    with rig.holding(started.point_id):
        rig.plan(started.point_id)
        request = rig.request(started.point_id, 1)
        with pytest.raises(StillWorking):
            rig.dump(request, lasting(rig, 8))
        key = RunKeys("backup", started.point_id).progress("dump", 1)
        progress = DumpProgress.model_validate_json(rig.scratch.objects[key])
        begun = progress.begun
        assert begun
        changed = {
            "another plan's": {"plan": "another"},
            "of another table": {"begun": begun.model_copy(update={"table": 1 - begun.table})},
            "of other blocks": {"begun": begun.model_copy(update={"end_block": 7})},
        }[change]
        rig.scratch.objects[key] = progress.model_copy(update=changed).model_dump_json().encode()
        before = rig.archive.asked  # type: ignore[attr-defined]

        rig.dump(request)

    result = DumpResult.model_validate_json(rig.scratch.objects[RunKeys("backup", started.point_id).result("dump", 1)])
    # A chunk that is not there yet is looked for twice.
    chunks = sum(len(one.chunks) for one in result.ranges)
    assert rig.archive.asked - before == 2 * chunks - before // 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", ["another plan's", "a chunk of another table", "a chunk of other blocks"])
def test_a_result_that_is_not_of_the_plan_is_not_sealed(rig: Rig, change: str) -> None:
    started = rig.start()
    with rig.holding(started.point_id):
        rig.dump_all(rig.plan(started.point_id))
        key = RunKeys("backup", started.point_id).result("dump", 1)
        result = DumpResult.model_validate_json(rig.scratch.objects[key])
        one = result.ranges[0]
        update = {"table": 1 - one.table} if "table" in change else {"end_block": 7}
        other = one.model_copy(update={"chunks": (one.chunks[0].model_copy(update=update), *one.chunks[1:])})
        changed = {"plan": "another"} if "plan" in change else {"ranges": (other, *result.ranges[1:])}
        rig.scratch.objects[key] = result.model_copy(update=changed).model_dump_json().encode()

        with pytest.raises(BackupIncomplete):
            rig.seal(started.point_id)
