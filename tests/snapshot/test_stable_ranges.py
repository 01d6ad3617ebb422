"""What is stored once stays stored: a table is cut as the last backup cut it."""

from __future__ import annotations

import pytest

from holdfast.contracts.documents import Steps
from holdfast.model import planning
from holdfast.model.keys import RunKeys, steps_key
from holdfast.usecases.snapshot.plan import PLAN
from snapshot.rig import DATABASE, Rig
from snapshot.servers import Databases

FILES = "CREATE TABLE files (n int, data text STORAGE EXTERNAL)"
APPEND = "INSERT INTO files SELECT n, repeat(md5(n::text), {size}) FROM generate_series({first}, {last}) n"


def test_rows_that_became_wider_leave_the_ranges_before_them_as_they_are(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "RANGE_BYTES", 3 << 20)
    rig = Rig(databases.create(FILES, APPEND.format(size=100, first=1, last=4000)))
    first = rig.manifest(rig.backup().id).tables[0].chunks
    with databases.connect(rig.parameters) as session:
        session.execute(APPEND.format(size=400, first=4001, last=6000).encode())
    former = planning.blocks_per_range
    fresh: list[tuple[int, int]] = []

    def noted(size: planning.Sized, step: int | None = None) -> int:
        fresh.append((former(size), former(size, step)))
        return former(size, step)

    monkeypatch.setattr(planning, "blocks_per_range", noted)
    second = rig.manifest(rig.backup().id).tables[0].chunks

    assert any(alone != kept for alone, kept in fresh), "without the note, the table would be cut anew"
    assert len(first) > 3
    assert [chunk.sha256 for chunk in first[:-1]] == [chunk.sha256 for chunk in second[: len(first) - 1]]


def test_without_a_note_a_backup_is_cut_as_if_it_were_the_first(databases: Databases) -> None:
    rig = Rig(databases.create(FILES, APPEND.format(size=100, first=1, last=50)))
    before = rig.manifest(rig.backup().id).tables
    del rig.scratch.objects[steps_key(DATABASE)]

    assert rig.manifest(rig.backup().id).tables == before


@pytest.fixture
def cut(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Return a rig around a database with a table that is cut, and one that was when a backup was taken."""
    monkeypatch.setattr(planning, "RANGE_BYTES", 1 << 20)
    other = FILES.replace("files", "dropped")
    rig = Rig(databases.create(FILES, APPEND.format(size=100, first=1, last=1000), other))
    with databases.connect(rig.parameters) as session:
        session.execute(b"INSERT INTO dropped SELECT * FROM files")
    rig.backup()
    with databases.connect(rig.parameters) as session:
        session.execute(b"DROP TABLE dropped")
    return rig


def noted(rig: Rig) -> Steps:
    return Steps.model_validate_json(rig.scratch.objects[steps_key(DATABASE)])


def test_a_dropped_table_is_forgotten_and_the_note_says_of_which_backup_it_is(cut: Rig) -> None:
    assert {name for _, name, _ in noted(cut).tables} == {"files", "dropped"}

    point = cut.backup()

    assert (noted(cut).point_id, {name for _, name, _ in noted(cut).tables}) == (point.id, {"files"})


def test_a_note_that_nobody_can_read_is_as_good_as_none(cut: Rig) -> None:
    cut.scratch.objects[steps_key(DATABASE)] = b"torn"

    point = cut.backup()

    assert noted(cut).point_id == point.id


def test_a_late_planner_replaces_no_note_of_a_later_backup(cut: Rig) -> None:
    late = cut.start()
    with cut.holding(late.point_id):
        cut.plan(late.point_id)
        del cut.scratch.objects[RunKeys("backup", late.point_id).document(PLAN)]
        later = noted(cut).model_copy(update={"point_id": "shop-99991231t000000z-000000"})
        cut.scratch.write(steps_key(DATABASE), later.model_dump_json().encode())

        cut.plan(late.point_id)

    assert noted(cut) == later


def test_a_planner_whose_plan_does_not_count_notes_nothing(cut: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    started = cut.start()
    with cut.holding(started.point_id):
        cut.plan(started.point_id)
        before, written = noted(cut), cut.scratch.objects[RunKeys("backup", started.point_id).document(PLAN)]
        # The second one has found no plan, cuts otherwise, and then finds the first one's.
        del cut.scratch.objects[RunKeys("backup", started.point_id).document(PLAN)]
        monkeypatch.setattr(planning, "RANGE_BYTES", 2 << 20)
        del cut.scratch.objects[steps_key(DATABASE)]
        monkeypatch.setattr(
            cut.scratch, "create", lambda key, _: cut.scratch.objects.setdefault(key, written) is not written
        )
        cut.plan(started.point_id)

    assert before.tables
    assert steps_key(DATABASE) not in cut.scratch.objects
