"""A snapshot's identifier is asked for on the server that it is of, and on no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.snapshots import refuse_another_server
from holdfast.errors import SnapshotLost
from holdfast.model.points import PointState
from holdfast.usecases.snapshot import dump
from snapshot.rig import Rig

ELSEWHERE = "20260101000000000000"


@pytest.fixture
def held(small: Rig) -> Iterator[tuple[Rig, str]]:
    """Return a rig and a point that is planned."""
    started = small.start()
    with small.holding(started.point_id):
        small.plan(started.point_id)
        yield small, started.point_id


def move(rig: Rig, point_id: str) -> None:
    """Let it look as if another server answered, which has a snapshot of the same identifier."""
    rig.holds.holds[point_id] = replace(rig.holds.holds[point_id], server=ELSEWHERE)


def test_no_worker_imports_from_another_server(held: tuple[Rig, str]) -> None:
    rig, point_id = held
    move(rig, point_id)

    for batch in (0, 1):
        with pytest.raises(SnapshotLost, match="Another server answers"):
            rig.dump(rig.request(point_id, batch))


def test_neither_planner_nor_successor_imports_from_another_server(small: Rig) -> None:
    started = small.start()
    with small.holding(started.point_id):
        move(small, started.point_id)

        with pytest.raises(SnapshotLost, match="Another server answers"):
            small.plan(started.point_id)
        with pytest.raises(SnapshotLost, match="Another server answers"):
            small.hold(started.point_id, generation=2)


def test_a_seal_on_another_server_fails(held: tuple[Rig, str]) -> None:
    rig, point_id = held
    for batch in (0, 1):
        rig.dump(rig.request(point_id, batch))
    move(rig, point_id)

    with pytest.raises(SnapshotLost, match="Another server answers"):
        rig.seal(point_id)

    assert rig.points.get(point_id).state is PointState.CAPTURING


def test_a_dump_that_another_server_may_have_written_does_not_count(
    held: tuple[Rig, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (rig, point_id), asked = held, list[str]()

    def failed_over(session: Connection, server: str) -> None:
        asked.append(server)
        refuse_another_server(session, server if len(asked) == 1 else ELSEWHERE)

    monkeypatch.setattr(dump, "refuse_another_server", failed_over)

    with pytest.raises(SnapshotLost, match="Another server answers"):
        rig.dump(rig.request(point_id, 0))

    assert asked == [rig.holds.holds[point_id].server] * 2
