"""A real backup, verified, restored and proven: what the two sides of Holdfast write and read is the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from holdfast.model.points import PointState
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine
from snapshot.rig import Rig


def test_what_the_backup_wrote_is_restored_and_proven(
    databases: Databases, shop: str, wired: Callable[..., Machine], archiver: Archiver
) -> None:
    rig = Rig(databases.parameters(shop))
    point = rig.backup()
    verdict = rig.verify(point.id)
    archiver.archive, archiver.points = rig.archive, rig.points
    archiver.signer, archiver.digest_keys = rig.signer, rig.digest_keys

    ended = wired(shop).run(databases.name())

    assert verdict.intact
    assert ended.proof.differences == ()
    assert rig.points.get(point.id).state is PointState.PROVEN


COMING_AND_GOING = (
    "CREATE TABLE app.staging (id serial PRIMARY KEY, mood app.mood)",
    "CREATE INDEX ON app.staging (mood); CREATE VIEW app.staged AS SELECT mood FROM app.staging",
    "CREATE TABLE app.part_{0} PARTITION OF app.parted FOR VALUES FROM ({0}00) TO ({0}99)",
    "GRANT SELECT ON app.users TO shop_owner",
    "DROP VIEW app.staged; DROP TABLE app.staging",
)
PARTED = """
    CREATE TABLE app.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE app.first PARTITION OF app.parted FOR VALUES FROM (0) TO (100);
    INSERT INTO app.parted SELECT generate_series(0, 99);
    CREATE TABLE app.of_parted (id int REFERENCES app.parted);
    CREATE PUBLICATION whole FOR ALL TABLES;
"""


@contextmanager
def tables_coming_and_going(databases: Databases, name: str) -> Iterator[Callable[[int], None]]:
    """Make and drop objects of an application beside the block, and hand it what waits for that many rounds more."""
    over, rounds = threading.Event(), [0]

    def work() -> None:
        with databases.connect(name) as session:
            session.execute("SET lock_timeout = '5s'")
            while not over.is_set():
                rounds[0] += 1
                for statement in COMING_AND_GOING:
                    session.execute(statement.format(rounds[0]).encode())
                time.sleep(0.02)

    def wait(more: int) -> None:
        until = rounds[0] + more + 1
        while rounds[0] < until:
            assert worker.is_alive(), "nothing of the application's may wait for the backup"
            time.sleep(0.01)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield wait
    finally:
        over.set()
        worker.join()


def test_a_backup_beside_which_tables_and_partitions_come_and_go_is_proven(
    databases: Databases, shop: str, wired: Callable[..., Machine], archiver: Archiver
) -> None:
    databases.run(shop, PARTED)
    rig = Rig(databases.parameters(shop))
    point_id = rig.start().point_id

    with rig.holding(point_id) as holder, tables_coming_and_going(databases, shop) as wait_for:
        wait_for(1)
        planned = rig.plan(point_id)
        wait_for(1)
        rig.dump_all(planned)
        wait_for(1)
        rig.seal(point_id)
        assert holder.result(timeout=30).released
    verdict = rig.verify(point_id)
    archiver.archive, archiver.points = rig.archive, rig.points
    archiver.signer, archiver.digest_keys = rig.signer, rig.digest_keys
    ended = wired(shop).run(databases.name())

    assert verdict.intact
    assert ended.proof.differences == ()
    assert rig.points.get(point_id).state is PointState.PROVEN
    assert rig.points.get(point_id).yields == 0
