"""The hold on a snapshot: relays, releases, and what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from holdfast.adapters.postgres.connect import connect
from holdfast.adapters.postgres.snapshots import begin_imported
from holdfast.contracts.backup import HoldAnswer, HoldRequest
from holdfast.errors import DatabaseBusy, SnapshotLost, SnapshotNotReady, StorageThrottled
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.usecases.snapshot import opening
from holdfast.usecases.snapshot.hold import Clock, Holder
from snapshot.rig import DATABASE, Rig, now
from snapshot.servers import Databases


def sessions(databases: Databases, rig: Rig) -> int:
    """Return how many holders are connected to the rig's database."""
    with databases.connect(rig.parameters) as session:
        row = session.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name LIKE 'holdfast hold %' AND datname = current_database()"
        ).fetchone()
    assert row
    return int(row[0])


def count(rig: Rig, snapshot: str, table: str = "users") -> int:
    """Return how many rows *snapshot* sees."""
    with connect(rig.parameters, application_name="test") as session:
        begin_imported(session, snapshot)
        row = session.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row
    return int(row[0])


def wait_for(rig: Rig, point_id: str, generation: int) -> str:
    """Return the snapshot of *generation* once it is published."""
    for _ in range(500):
        hold = rig.holds.current(point_id)
        if hold and hold.generation >= generation:
            return hold.snapshot
        time.sleep(0.02)
    raise AssertionError(f"Generation {generation} never came.")


def test_a_snapshot_outlives_its_holders_and_no_truncate_gets_between_them(small: Rig, databases: Databases) -> None:
    """Three generations; a TRUNCATE gets its turn only when the last one has let go."""
    started = small.start()
    truncated = []

    def truncate() -> None:
        with databases.connect(small.parameters) as session:
            session.execute("TRUNCATE users")
            truncated.append(now())

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(small.hold, started.point_id, 1, seconds=6)
        wait_for(small, started.point_id, 1)
        with databases.connect(small.parameters) as session:
            session.execute("INSERT INTO users SELECT n FROM generate_series(2001, 2100) n")
        seen = []
        # Each holder's time is short, so it asks for its successor soon.
        second = pool.submit(small.hold, started.point_id, 2, seconds=60)
        seen.append(count(small, wait_for(small, started.point_id, 2)))
        assert first.result(timeout=30) == HoldAnswer(released=False, generation=1)

        third = pool.submit(small.hold, started.point_id, 3, seconds=600)
        snapshot = wait_for(small, started.point_id, 3)
        assert second.result(timeout=30) == HoldAnswer(released=False, generation=2)
        seen.append(count(small, snapshot))
        waiting = pool.submit(truncate)
        databases.queued(small.parameters)
        # Readers of `users` queue behind the TRUNCATE now; other tables are read as before.
        seen.append(count(small, snapshot, "orders"))
        assert not truncated

        small.points.advance(started.point_id, PointState.FAILED, failure="enough")
        assert third.result(timeout=30) == HoldAnswer(released=True, generation=3)
        waiting.result(timeout=30)

    assert seen == [1000, 1000, 500]
    assert eventually(lambda: sessions(databases, small) == 0)


def test_a_truncate_that_waits_makes_the_successor_give_up_and_not_lose_rows(
    small: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor queues behind the TRUNCATE: it must fail, for a lock after it would read an empty table."""
    monkeypatch.setitem(opening.SETTINGS, "lock_timeout", "300ms")
    started = small.start()
    with small.holding(started.point_id), ThreadPoolExecutor(1) as pool:
        blocked = databases.connect(small.parameters)
        try:
            waiting = pool.submit(blocked.execute, "TRUNCATE users")
            databases.queued(small.parameters)

            with pytest.raises(DatabaseBusy):
                small.hold(started.point_id, 2)

            assert small.executions.answers[-1][1:3] == ("failed", "DatabaseBusy")
            hold = small.holds.current(started.point_id)
            assert hold
            assert hold.generation == 1
            assert not waiting.done()
        finally:
            small.holds.end(started.point_id)
            waiting.result(timeout=30)
            blocked.close()


def test_the_moment_is_that_of_the_first_snapshot(small: Rig) -> None:
    started = small.start()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(small.hold, started.point_id, 1)
        wait_for(small, started.point_id, 1)
        before = small.holds.current(started.point_id)
        second = pool.submit(small.hold, started.point_id, 2)
        wait_for(small, started.point_id, 2)
        after = small.holds.current(started.point_id)
        small.holds.end(started.point_id)
        first.result(timeout=30)
        second.result(timeout=30)

    assert before
    assert after
    assert (after.taken_at, after.lsn) == (before.taken_at, before.lsn)
    assert after.snapshot != before.snapshot


@pytest.mark.parametrize("state", [PointState.CAPTURED, PointState.FAILED])
def test_the_holder_lets_go_when_the_backup_is_over(small: Rig, databases: Databases, state: PointState) -> None:
    started = small.start()
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(small.hold, started.point_id)
        wait_for(small, started.point_id, 1)

        small.points.advance(started.point_id, state)

        assert holder.result(timeout=30) == HoldAnswer(released=True, generation=1)
    assert small.holds.current(started.point_id) is None
    assert small.executions.answers == [
        (f"token-{started.point_id}-1", "succeeded", '{"released":true,"generation":1}')
    ]
    assert eventually(lambda: sessions(databases, small) == 0)


def test_a_repeated_invocation_whose_token_was_answered_opens_nothing(small: Rig, databases: Databases) -> None:
    started = small.start()
    request = HoldRequest(database=DATABASE, point_id=started.point_id, generation=1, task_token="answered")
    clock = Clock(now=now, sleep=time.sleep, seconds_left=lambda: 600)

    answer = Holder(
        request,
        protected=small.protected,
        points=small.points,
        holds=small.holds,
        executions=small.executions,
        clock=clock,
    ).run()

    assert not answer.released
    assert not small.executions.answers
    assert small.holds.current(started.point_id) is None


class FastClock:
    """A clock that runs as fast as the holder asks it to sleep."""

    def __init__(self, seconds: float) -> None:
        self.began, self.passed, self.seconds = now(), 0.0, seconds
        self.events: dict[float, object] = {}

    def sleep(self, seconds: float) -> None:
        self.passed += seconds
        for due in sorted(due for due in self.events if due <= self.passed):
            self.events.pop(due)()  # type: ignore[operator]

    def clock(self) -> Clock:
        return Clock(
            now=lambda: self.began + timedelta(seconds=self.passed),
            sleep=self.sleep,
            seconds_left=lambda: self.seconds - self.passed,
        )


def hold_with(rig: Rig, fast: FastClock, point_id: str, token: str = "token") -> HoldAnswer:
    rig.executions.waiting.add(token)
    request = HoldRequest(database=DATABASE, point_id=point_id, generation=1, task_token=token)
    return Holder(
        request,
        protected=rig.protected,
        points=rig.points,
        holds=rig.holds,
        executions=rig.executions,
        clock=fast.clock(),
    ).run()


def test_a_holder_shows_every_ten_seconds_that_it_lives(small: Rig) -> None:
    started, fast = small.start(), FastClock(900)
    pinged = []
    fast.events = {
        150.0: lambda: pinged.append(small.holds.current(started.point_id)),
        300.0: lambda: small.points.advance(started.point_id, PointState.FAILED),
    }

    hold_with(small, fast, started.point_id)

    assert 25 <= len(small.executions.heartbeats) <= 33
    assert pinged[0].pinged_at >= fast.began + timedelta(seconds=120)


def test_a_holder_lets_go_when_nobody_waits_for_it(small: Rig) -> None:
    started, fast = small.start(), FastClock(900)
    fast.events = {60.0: small.executions.waiting.clear}

    answer = hold_with(small, fast, started.point_id)

    assert answer.released
    assert fast.passed < 90
    assert small.holds.current(started.point_id) is None


def test_a_holder_that_is_not_succeeded_in_time_says_so(small: Rig) -> None:
    started, fast = small.start(), FastClock(900)

    with pytest.raises(SnapshotLost, match="successor"):
        hold_with(small, fast, started.point_id)

    assert small.executions.answers == [("token", "succeeded", '{"released":false,"generation":1}')]
    assert 880 <= fast.passed <= 900


def test_a_holder_whose_execution_ended_after_it_was_answered_lets_go(small: Rig) -> None:
    started, fast = small.start(), FastClock(900)
    fast.events = {700.0: small.executions.alive.clear}

    answer = hold_with(small, fast, started.point_id)

    assert answer.released
    assert fast.passed < 730


FROZEN = """
import sys
from threading import Thread
from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.usecases.snapshot import opening
from snapshot.rig import Rig

opening.SETTINGS["idle_in_transaction_session_timeout"] = "2s"  # a minute otherwise
rig = Rig(ConnectionParameters.from_secret(sys.argv[1]))
point = rig.start().point_id
Thread(target=lambda: print(rig.access(point, tries=200).using(lambda hold: hold.snapshot), flush=True)).start()
rig.hold(point)
"""


def test_a_frozen_holder_is_ended_by_the_server_itself(small: Rig, databases: Databases) -> None:
    """Nothing is vacuumed that an old snapshot might see, so nobody may keep one who does not even know it."""
    url = databases.server.url(small.parameters.dbname)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", FROZEN, url], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline()  # it holds
        process.send_signal(signal.SIGSTOP)

        gone = eventually(lambda: sessions(databases, small) == 0)

        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(timeout=60)
    assert gone
    assert "SnapshotLost: The session that held the snapshot ended." in said


def eventually(met: Callable[[], bool]) -> bool:
    """Answer whether *met* comes true within half a minute."""
    limit = time.monotonic() + 30
    while not met():
        if time.monotonic() > limit:
            return False
        time.sleep(0.1)
    return True


def test_a_session_that_the_server_ends_fails_the_task(small: Rig, databases: Databases) -> None:
    started, fast = small.start(), FastClock(900)

    def terminate() -> None:
        hold = small.holds.current(started.point_id)
        assert hold
        with databases.connect(small.parameters) as session:
            session.execute("SELECT pg_terminate_backend(%s, 5000)", (hold.backend_pid,))

    fast.events = {30.0: terminate}

    with pytest.raises(SnapshotLost):
        hold_with(small, fast, started.point_id)

    assert small.executions.answers[0][:3] == ("token", "failed", "SnapshotLost")


def test_a_successor_without_a_predecessor_says_that_the_snapshot_is_lost(small: Rig) -> None:
    started = small.start()
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(small.hold, started.point_id)
        wait_for(small, started.point_id, 1)
        stale = small.holds.current(started.point_id)
        assert stale
        small.holds.end(started.point_id)
        holder.result(timeout=30)
    small.holds.publish(stale)

    with pytest.raises(SnapshotLost):
        small.hold(started.point_id, 2)


def test_a_snapshot_whose_holder_is_gone_is_not_ready(small: Rig) -> None:
    with connect(small.parameters, application_name="test") as session, pytest.raises(SnapshotNotReady):
        begin_imported(session, "00000003-00000099-1")


def test_a_table_that_is_locked_exclusively_makes_the_backup_wait_for_another_try(
    small: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(opening.SETTINGS, "lock_timeout", "200ms")
    started = small.start()
    with databases.connect(small.parameters) as session:
        session.execute("BEGIN")
        session.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(DatabaseBusy, match="locked"):
            small.hold(started.point_id)

    assert small.executions.answers[-1][2] == "DatabaseBusy"
    assert eventually(lambda: sessions(databases, small) == 0)


def test_a_table_created_between_listing_and_locking_is_part_of_the_backup(
    small: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.adapters.postgres import snapshots

    original, created = snapshots._lock, []

    def lock(session: psycopg.Connection[tuple[object, ...]], tables: object) -> None:
        if not created:
            with databases.connect(small.parameters) as other:
                other.execute("CREATE TABLE late AS SELECT 1 AS n; DROP TABLE orders")
            created.append(True)
        original(session, tables)  # type: ignore[arg-type]

    monkeypatch.setattr(snapshots, "_lock", lock)

    point = small.backup()

    assert [table.name for table in small.manifest(point.id).tables] == ["late", "users"]


def test_a_first_holder_that_is_invoked_again_takes_no_second_snapshot(small: Rig) -> None:
    started = small.start()
    with small.holding(started.point_id):
        answer = hold_with(small, FastClock(900), started.point_id, token="again")

        assert not answer.released
        assert not small.executions.answers
        hold = small.holds.current(started.point_id)
        assert hold
        assert count(small, hold.snapshot) == 1000


def test_a_catalogue_that_is_slow_for_a_while_does_not_end_the_hold(
    small: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, fast = small.start(), FastClock(900)
    original = small.points.get

    def throttled(point_id: str) -> RecoveryPoint:
        if 40 < fast.passed < 80:
            raise StorageThrottled("Slow down.")
        return original(point_id)

    monkeypatch.setattr(small.points, "get", throttled)
    fast.events = {100.0: lambda: small.points.advance(started.point_id, PointState.CAPTURED)}

    assert hold_with(small, fast, started.point_id).released
    assert fast.passed >= 100
