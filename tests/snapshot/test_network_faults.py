"""What becomes of a backup when the way to its source, or the source itself, breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fakes.network import Network, eventually, network
from holdfast.contracts.backup import DumpRequest
from holdfast.errors import DatabaseUnreachable, SnapshotLost, SnapshotNotReady
from holdfast.model.points import PointState
from snapshot.rig import Rig
from snapshot.servers import Databases

ROWS = "CREATE TABLE rows AS SELECT n, repeat(md5(n::text), 30) AS t FROM generate_series(1, 6000) n"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast %%' AND datname = %s"


@pytest.fixture
def way(databases: Databases) -> Iterator[Network]:
    with network(databases.server.port) as made:
        yield made


@pytest.fixture
def remote(databases: Databases, way: Network) -> Rig:
    """Return a rig that reaches its database through the network."""
    return Rig(replace(databases.create(ROWS), port=way.port), concurrency=2)


def left_behind(databases: Databases, rig: Rig) -> int:
    """Return how many sessions of ours the server still has, once it has had time to notice."""
    with databases.connect(databases.parameters("postgres")) as session:

        def count() -> int:
            row = session.execute(SESSIONS, (rig.parameters.dbname,)).fetchone()
            return int(row[0]) if row else -1

        eventually(lambda: count() == 0)
        return count()


def batches(rig: Rig, point_id: str) -> list[DumpRequest]:
    return [DumpRequest.model_validate(item) for item in rig.items(rig.plan(point_id).items.key)]


@pytest.mark.parametrize(
    ("name", "batch"), [("holdfast dump", 1), ("holdfast schema", 0)], ids=["of rows", "of the schema"]
)
def test_a_connection_cut_in_the_middle_fails_loudly_and_a_retry_completes_the_point(
    remote: Rig, way: Network, databases: Databases, name: str, batch: int
) -> None:
    started = remote.start()
    with remote.holding(started.point_id) as holder:
        planned = batches(remote, started.point_id)
        way.cut_next(name, after=4_000)

        with pytest.raises(DatabaseUnreachable):
            remote.dump(planned[batch])
        for each in planned:
            remote.dump(each)
        remote.seal(started.point_id)
        assert holder.result(timeout=30).released

    assert remote.verify(started.point_id).intact
    assert left_behind(databases, remote) == 0


def test_a_holder_that_is_cut_off_says_so_and_the_point_is_not_sealed(
    remote: Rig, way: Network, databases: Databases
) -> None:
    started = remote.start()
    with remote.holding(started.point_id) as holder:
        remote.dump_all(remote.plan(started.point_id))
        assert way.cut("holdfast hold") == 1

        with pytest.raises((SnapshotLost, SnapshotNotReady)):
            remote.seal(started.point_id)

    assert remote.points.get(started.point_id).state is PointState.CAPTURING
    assert holder.exception(timeout=30) is not None or holder.result().released
    assert left_behind(databases, remote) == 0
