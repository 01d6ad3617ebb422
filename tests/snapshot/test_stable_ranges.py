"""What is stored once stays stored: a table is cut as the last backup cut it."""

from __future__ import annotations

import pytest

from holdfast.model import planning
from holdfast.model.keys import steps_key
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
