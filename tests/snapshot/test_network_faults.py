"""What becomes of a backup when the way to its source, or the source itself, breaks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fakes.network import Network, eventually, network
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.contracts.backup import DumpRequest
from holdfast.errors import DatabaseBusy, DatabaseUnreachable, SnapshotLost, SnapshotNotReady
from holdfast.model.points import PointState
from holdfast_local.postgres import EmbeddedPostgres
from holdfast_local.postgres.replica import copy_for_standby
from snapshot.rig import Rig
from snapshot.servers import Databases

ROWS = "CREATE TABLE rows AS SELECT n, repeat(md5(n::text), 30) AS t FROM generate_series(1, 6000) n"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast %%' AND datname = %s"
CANCEL = """
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE application_name LIKE 'holdfast dump %%' AND datname = %s
"""


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


def ended_badly(rig: Rig, point_id: str) -> None:
    """Do what the state machine does after a failure: mark the point and give the database back."""
    rig.points.advance(point_id, PointState.FAILED, failure="The test says so.")
    rig.points.locks.clear()


def test_a_statement_that_somebody_cancels_is_tried_again(remote: Rig, way: Network, databases: Databases) -> None:
    started = remote.start()
    with remote.holding(started.point_id), databases.connect(databases.parameters("postgres")) as other:
        planned = batches(remote, started.point_id)
        way.do_next("holdfast dump", lambda: other.execute(CANCEL, (remote.parameters.dbname,)), after=4_000)

        with pytest.raises(DatabaseBusy, match=r"57014.*find out who cancels"):
            remote.dump(planned[1])
        for each in planned:
            remote.dump(each)
        remote.seal(started.point_id)

    assert remote.verify(started.point_id).intact


def test_a_password_that_changes_does_not_disturb_those_who_are_in_and_a_retry_uses_the_new_one(
    remote: Rig, databases: Databases
) -> None:
    role = databases.role("IN ROLE pg_read_all_data")
    old = remote.parameters = replace(remote.parameters, user=role, password="secret")
    started = remote.start()
    with remote.holding(started.point_id), databases.connect(databases.parameters("postgres")) as other:
        planned = batches(remote, started.point_id)
        other.execute(f"ALTER ROLE {role} PASSWORD 'rotated'".encode())

        for each in planned:
            with pytest.raises(DatabaseBusy, match="reads the secret anew"):
                remote.dump(each)
        remote.parameters = replace(old, password="rotated")
        for each in planned:
            remote.dump(each)
        remote.seal(started.point_id)

    assert remote.verify(started.point_id).intact


def test_a_source_without_free_connections_is_tried_again(remote: Rig, databases: Databases) -> None:
    role = databases.role("IN ROLE pg_read_all_data")
    remote.parameters = replace(remote.parameters, user=role, password="secret")
    started = remote.start()
    with remote.holding(started.point_id), databases.connect(databases.parameters("postgres")) as other:
        planned = batches(remote, started.point_id)
        other.execute(f"ALTER ROLE {role} CONNECTION LIMIT 1".encode())

        for each in planned:
            with pytest.raises(DatabaseBusy, match="no free connection"):
                remote.dump(each)
        other.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1".encode())
        for each in planned:
            remote.dump(each)
        remote.seal(started.point_id)

    assert remote.verify(started.point_id).intact


def test_a_server_that_restarts_at_once_fails_the_point_and_the_next_run_completes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    postgres = EmbeddedPostgres(18, tmp_path_factory.mktemp("restarting"), keep=True)
    server = postgres.start()
    try:
        with network(server.port) as way:
            rig = Rig(replace(Databases(server).create(ROWS), port=way.port), concurrency=2)
            started = rig.start()
            with rig.holding(started.point_id) as holder:
                planned = batches(rig, started.point_id)
                way.do_next("holdfast dump", lambda: os.kill(server.pid, signal.SIGQUIT), after=4_000)
                with pytest.raises(DatabaseUnreachable):
                    rig.dump(planned[1])
                postgres.stop()
                again = postgres.start()
                way.lead_to(again.port)
                # Unreachable is also right: the holder ends what still works for a point that is lost.
                with pytest.raises((SnapshotLost, SnapshotNotReady, DatabaseUnreachable)):
                    rig.dump(planned[1])
                assert isinstance(holder.exception(timeout=30), SnapshotLost)
            ended_badly(rig, started.point_id)

            point = rig.backup()

            assert rig.verify(point.id).intact
            assert left_behind(Databases(again), rig) == 0
    finally:
        postgres.stop()


def test_a_failover_fails_the_point_and_the_next_run_copies_the_new_primary(
    remote: Rig, way: Network, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("follower")
    copy_for_standby(databases.server, directory)
    with EmbeddedPostgres(18, directory) as promoted:
        started = remote.start()
        with remote.holding(started.point_id) as holder:
            planned = batches(remote, started.point_id)
            with databases.connect(ConnectionParameters.from_secret(promoted.url())) as session:
                session.execute("SELECT pg_promote()")
            way.lead_to(promoted.port)
            way.cut()

            # Unreachable is also right: the holder ends what still works for a point that is lost.
            with pytest.raises((SnapshotLost, SnapshotNotReady, DatabaseUnreachable)):
                remote.dump(planned[1])
            assert isinstance(holder.exception(timeout=30), SnapshotLost)
        ended_badly(remote, started.point_id)

        point = remote.backup()

        assert remote.verify(point.id).intact
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
