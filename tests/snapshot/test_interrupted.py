"""Backups that are killed, hindered or refused half-way: they fail loudly, and the next attempt converges."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes import MemoryArchive
from holdfast.adapters.postgres.copying import CopySession
from holdfast.archive.pieces import Piece
from holdfast.contracts.backup import DumpRequest
from holdfast.errors import (
    BackupIncomplete,
    DatabaseBusy,
    DatabaseUnreachable,
    HoldfastError,
    SnapshotLost,
    StorageThrottled,
    UnexpectedState,
)
from holdfast.model.keys import MANIFEST, ArchiveKeys, RunKeys
from holdfast.model.points import PointState
from holdfast.ports.storage import Stored
from snapshot.rig import DATABASE, Rig
from snapshot.servers import Databases

BIG = "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 50000) n"


@pytest.fixture
def big(databases: Databases) -> Rig:
    return Rig(databases.create(BIG))


def result_of(rig: Rig, point_id: str, batch: int = 1) -> bytes | None:
    return rig.scratch.read(RunKeys("backup", point_id).result("dump", batch))


def dump_first(rig: Rig, point_id: str) -> None:
    rig.dump(rig.request(point_id, 1))


@pytest.mark.parametrize("victim", ["psql", "the server's session"])
def test_a_copy_that_is_killed_leaves_no_result_and_can_be_repeated(
    big: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    started = big.start()
    original = CopySession.answer

    def killed(session: CopySession, *, what: str = "") -> Iterator[Piece]:
        pieces = original(session, what=what)
        if victim == "psql":
            os.kill(session._program.pid, signal.SIGKILL)
        else:
            with databases.connect(big.parameters) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'holdfast dump %'"
                )
        return pieces

    with big.holding(started.point_id):
        planned = big.plan(started.point_id)
        with monkeypatch.context() as patched:
            patched.setattr(CopySession, "answer", killed)
            with pytest.raises((DatabaseBusy, DatabaseUnreachable)):
                dump_first(big, started.point_id)

        assert result_of(big, started.point_id) is None
        with pytest.raises(BackupIncomplete):
            big.seal(started.point_id)

        big.dump_all(planned)
        big.seal(started.point_id)

    assert big.verify(started.point_id).intact


class Failing(MemoryArchive):
    """An archive whose n-th storing fails."""

    def __init__(self, fails: int) -> None:
        super().__init__()
        self.fails, self.calls = fails, 0

    def put(self, key: str, body: bytes, **others: object) -> Stored:
        self.calls += 1
        if self.calls == self.fails:
            raise StorageThrottled("Slow down.")
        return super().put(key, body, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize("call", range(1, 9))
def test_a_backup_whose_storage_fails_once_converges_when_the_step_is_repeated(small: Rig, call: int) -> None:
    small.archive = Failing(call)
    started = small.start()
    failed = 0

    def persist(step: object, *arguments: object) -> None:
        nonlocal failed
        try:
            step(*arguments)  # type: ignore[operator]
        except StorageThrottled:
            failed += 1
            step(*arguments)  # type: ignore[operator]

    with small.holding(started.point_id):
        planned = small.plan(started.point_id)
        for item in small.items(planned.items.key):
            persist(small.dump, DumpRequest.model_validate(item))
        persist(small.seal, started.point_id)

    assert failed == 1
    assert small.verify(started.point_id).intact


def test_a_repeated_batch_stores_nothing_again(big: Rig) -> None:
    started = big.start()
    with big.holding(started.point_id):
        planned = big.plan(started.point_id)
        dump_first(big, started.point_id)
        puts = big.archive.puts
        del big.scratch.objects[RunKeys("backup", started.point_id).result("dump", 1)]

        dump_first(big, started.point_id)

        assert big.archive.puts == puts
        assert big.plan(started.point_id).items.count == planned.items.count


def test_a_table_that_cannot_be_dropped_meanwhile_waits(small: Rig, databases: Databases) -> None:
    started = small.start()
    with small.holding(started.point_id):
        planned = small.plan(started.point_id)
        with databases.connect(small.parameters) as session:
            session.execute("SET lock_timeout = '200ms'")
            for statement in ("DROP TABLE users", "TRUNCATE users", "ALTER TABLE users ADD x int"):
                with pytest.raises(Exception, match="lock timeout"):
                    session.execute(statement.encode())

        small.dump_all(planned)
        small.seal(started.point_id)

    assert small.points.get(started.point_id).rows == 1500


def test_dumping_after_the_hold_ended_says_that_the_snapshot_is_lost(small: Rig) -> None:
    started = small.start()
    with small.holding(started.point_id):
        small.plan(started.point_id)
        small.points.advance(started.point_id, PointState.FAILED, failure="stopped")

        with pytest.raises(SnapshotLost):
            dump_first(small, started.point_id)


def test_a_planted_manifest_is_never_signed(small: Rig) -> None:
    other = small.backup()
    started = small.start()
    planted = small.archive.read(ArchiveKeys(DATABASE).of_point(other.id, MANIFEST))
    key = ArchiveKeys(DATABASE).of_point(started.point_id, MANIFEST)
    with small.holding(started.point_id):
        small.dump_all(small.plan(started.point_id))
        small.archive.versions[key] = list(small.archive.versions[ArchiveKeys(DATABASE).of_point(other.id, MANIFEST)])

        with pytest.raises(UnexpectedState):
            small.seal(started.point_id)

    assert small.archive.read(key) == planted


def test_a_seal_that_is_repeated_keeps_the_first_manifest(small: Rig) -> None:
    started = small.start()
    with small.holding(started.point_id):
        small.dump_all(small.plan(started.point_id))
        first = small.seal(started.point_id)
        point = small.points.get(started.point_id)

        again = small.seal(started.point_id)

    assert again == first
    assert small.points.get(started.point_id) == point
    assert small.verify(started.point_id).intact


def test_no_thread_is_left_behind_by_a_batch_that_failed(big: Rig) -> None:
    big.archive = Failing(1)
    started = big.start()
    with big.holding(started.point_id):
        big.plan(started.point_id)
        with pytest.raises(HoldfastError):
            dump_first(big, started.point_id)

        assert not [thread for thread in threading.enumerate() if thread.name.startswith("chunks")]


def test_a_batch_is_never_copied_under_another_snapshot_than_was_planned(small: Rig) -> None:
    started = small.start()
    with small.holding(started.point_id):
        small.plan(started.point_id)
        hold = small.holds.current(started.point_id)
        assert hold
        small.holds.publish(replace(hold, taken_at=hold.taken_at + timedelta(seconds=1)))

        for batch in (0, 1):
            with pytest.raises(SnapshotLost, match="planned"):
                small.dump(small.request(started.point_id, batch))
