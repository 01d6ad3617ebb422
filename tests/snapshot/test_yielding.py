"""Backups that give way: to whom, how soon, what it costs the others, and how they begin anew."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from holdfast.adapters.postgres.connect import Connection, connect
from holdfast.adapters.postgres.copying import CopySession
from holdfast.adapters.postgres.waiting import Waiter, end_sessions, waiting_behind
from holdfast.contracts.backup import BackupRequest, DumpRequest, HoldAnswer
from holdfast.errors import BackupYielded, DatabaseUnreachable
from holdfast.model.points import PointState
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Hold
from holdfast.usecases.snapshot.opening import Clock
from holdfast.usecases.snapshot.start import start_backup
from holdfast.usecases.snapshot.watching import Again, Watch
from snapshot.rig import DATABASE, Rig, now
from snapshot.servers import USERS, Databases

SOON = 30
"""Within how many seconds, on a busy machine, who waits behind a backup goes on; 7 are promised."""
# Statements that wait for a lock on a table, or for every transaction that might use it.
WAITING = {
    "alter": "ALTER TABLE users ADD late int",
    "truncate": "TRUNCATE users",
    "vacuum full": "VACUUM FULL users",
    "create index concurrently": "CREATE INDEX CONCURRENTLY late ON users (name)",
    "drop index concurrently": "DROP INDEX CONCURRENTLY users_name",
    "reindex concurrently": "REINDEX TABLE CONCURRENTLY users",
}


@pytest.fixture
def rig(databases: Databases) -> Rig:
    """Return a rig whose backup gives way after a second."""
    made = Rig(databases.create(USERS, "CREATE INDEX users_name ON users (name)"))
    made.yield_after_seconds = 1
    return made


@pytest.fixture
def pool(rig: Rig) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(6) as made:
        yield made
        rig.holds.holds.clear()  # a test that failed leaves a holder


def published(rig: Rig, point_id: str) -> Hold:
    return rig.access(point_id, tries=200).using(lambda hold: hold)


def running(databases: Databases, rig: Rig, statement: str) -> Any:
    """Run *statement* in a session of its own; return its end."""
    with databases.connect(rig.parameters) as session:
        session.execute(statement.encode())
        return time.monotonic()


def left(databases: Databases, rig: Rig) -> list[str]:
    """Return our sessions in the rig's database that do not end within seconds."""
    text = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'holdfast %%' AND datname = %s"
    found: list[str] = []
    with databases.connect(rig.parameters) as session:
        for _ in range(100):
            found = [name for (name,) in session.execute(text.encode(), (rig.parameters.dbname,)).fetchall()]
            if not found:
                break
            time.sleep(0.1)
    return found


@contextmanager
def working(rig: Rig, point_id: str, step: str = "dump") -> Iterator[Connection]:
    """Be a worker of the point, in a transaction of its own."""
    with connect(rig.parameters, application_name=session_name(step, point_id)) as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield session


def chunks(rig: Rig) -> set[str]:
    return {key for key in rig.archive.versions if "/chunks/" in key}


def given_way(holder: Future[HoldAnswer]) -> str:
    with pytest.raises(BackupYielded) as found:
        holder.result(timeout=30)
    return found.value.message


@pytest.mark.parametrize("statement", WAITING.values(), ids=WAITING)
def test_whoever_waits_for_seconds_goes_on_and_the_backup_says_to_whom_it_gave_way(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor, statement: str
) -> None:
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    published(rig, started.point_id)
    began = time.monotonic()

    ended = pool.submit(running, databases, rig, statement).result(timeout=60)

    assert 1 <= ended - began < SOON
    said = given_way(holder)
    assert re.search(r"gave way in its attempt 1 to session \d+ of \w+ \(test\), which waits for public.users: ", said)
    assert rig.executions.answers[0][1:3] == ("failed", "BackupYielded")
    point = rig.points.get(started.point_id)
    assert (point.state, point.yields, point.yielded_to) == (PointState.CAPTURING, 1, said)
    assert rig.holds.current(started.point_id) is None
    assert left(databases, rig) == []


def test_sessions_that_give_up_after_a_second_each_time_do_not_stop_the_backup(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor
) -> None:
    rig.yield_after_seconds = 2
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    published(rig, started.point_id)
    with databases.connect(rig.parameters) as session:
        session.execute("SET lock_timeout = '1s'")

        for _ in range(5):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                session.execute("ALTER TABLE users ADD late int")

    rig.points.advance(started.point_id, PointState.CAPTURED)
    assert holder.result(timeout=30).released


def waiter(seconds: float, table: str = "users") -> Waiter:
    return Waiter(1, "owner", "migration", table, seconds)


def test_waits_that_come_again_and_again_add_up_until_they_fill_half_of_the_window() -> None:
    again, began, said = Again(30), now(), []

    for turn in range(6):  # four seconds each, and hardly a pause
        said += [
            again.add(waiter(seconds), seconds, began + timedelta(seconds=4.1 * turn + seconds)) for seconds in (2, 3.9)
        ]

    assert said.index(True) in range(5, 9)


def test_waits_with_long_pauses_and_waits_at_once_never_fill_the_window() -> None:
    again, began = Again(30), now()

    pauses = [again.add(waiter(4), 4, began + timedelta(seconds=12 * turn)) for turn in range(20)]
    at_once = [again.add(waiter(4, "orders"), 4, began + timedelta(seconds=turn / 100)) for turn in range(20)]

    assert not any(pauses + at_once)


def test_whoever_keeps_a_reader_waiting_is_let_go_before_its_own_patience_ends(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor
) -> None:
    rig.yield_after_seconds = 60
    watch = Watch("", patience=60, clock=Clock(now=now, sleep=time.sleep, seconds_left=lambda: 600))
    started = rig.start()
    with working(rig, started.point_id, "hold") as holder:
        holder.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        migration = pool.submit(running, databases, rig, "ALTER TABLE users ADD late int")
        databases.queued(rig.parameters)
        reader = pool.submit(running, databases, rig, "SELECT count(*) FROM users")
        databases.queued(rig.parameters, 2)

        (found,) = waiting_behind(holder, started.point_id)

        assert found.seconds
        assert 0 < found.followed < found.seconds
        assert not watch._is_impatient(found, now())
        assert watch._is_impatient(replace(found, followed=24.0), now())
        holder.execute("ROLLBACK")
    migration.result(timeout=30)
    reader.result(timeout=30)


def test_a_reader_behind_a_migration_that_waits_behind_the_backup_goes_on_with_it(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor
) -> None:
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    published(rig, started.point_id)
    began = time.monotonic()

    migration = pool.submit(running, databases, rig, "ALTER TABLE users ADD late int")
    databases.queued(rig.parameters)
    reader = pool.submit(running, databases, rig, "SELECT count(*) FROM users")

    assert reader.result(timeout=60) - began < SOON
    migration.result(timeout=60)
    given_way(holder)


def test_who_waits_behind_a_worker_counts_and_the_worker_is_ended(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor
) -> None:
    """The table is younger than the snapshot: the holder has no lock on it, and a worker might have any."""
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    published(rig, started.point_id)
    running(databases, rig, "CREATE TABLE young (n int)")
    with working(rig, started.point_id) as worker:
        worker.execute("LOCK TABLE young IN ACCESS SHARE MODE")

        pool.submit(running, databases, rig, "DROP TABLE young").result(timeout=60)

        assert "waits for public.young" in given_way(holder)
        with pytest.raises(psycopg.OperationalError):
            worker.execute("SELECT 1")


def test_who_waits_behind_others_is_not_waited_for(rig: Rig, databases: Databases) -> None:
    started = rig.start()
    with (
        databases.connect(rig.parameters) as other,
        working(rig, started.point_id, "hold") as holder,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("BEGIN")
        other.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        waiter = pool.submit(running, databases, rig, "ALTER TABLE users ADD late int")
        databases.queued(rig.parameters)

        assert waiting_behind(holder, started.point_id) == []

        other.execute("COMMIT")
        waiter.result(timeout=30)


def test_a_role_without_any_right_to_see_others_finds_who_waits(rig: Rig, databases: Databases) -> None:
    role = databases.role()
    running(databases, rig, f"GRANT SELECT ON users TO {role}")
    plain = Rig(rig.parameters.__class__(**{**_fields(rig), "user": role, "password": "secret"}))
    started = rig.start()
    with working(plain, started.point_id, "hold") as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE users IN ACCESS SHARE MODE")
        waiting = pool.submit(running, databases, rig, "TRUNCATE users")
        databases.queued(rig.parameters)

        (found,) = waiting_behind(holder, started.point_id)

        assert (found.application, found.table) == ("test", "users")
        assert found.seconds
        assert 0 < found.seconds < SOON
        holder.execute("ROLLBACK")
        waiting.result(timeout=30)


def _fields(rig: Rig) -> dict[str, Any]:
    parameters = rig.parameters
    return {name: getattr(parameters, name) for name in parameters.__slots__}


def test_only_sessions_of_the_point_are_ended(rig: Rig, databases: Databases) -> None:
    started = rig.start()
    mine, others = started.point_id, f"{started.point_id[:-6]}ffffff"
    with working(rig, mine) as worker, working(rig, others) as stranger, working(rig, mine, "hold") as holder:
        assert end_sessions(holder, mine) == 1

        stranger.execute("SELECT 1")
        holder.execute("SELECT 1")
        with pytest.raises(psycopg.OperationalError):
            worker.execute("SELECT 1")


def test_a_worker_of_an_attempt_that_gave_way_is_told_so_and_not_kept_waiting(
    rig: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    items = rig.items(rig.plan(started.point_id).items.key)
    original, waiting = CopySession.open, []

    def stalled(session: CopySession) -> None:
        original(session)
        waiting.append(pool.submit(running, databases, rig, "ALTER TABLE users ADD late int"))
        given_way(holder)

    with monkeypatch.context() as patched:
        patched.setattr(CopySession, "open", stalled)
        with pytest.raises(DatabaseUnreachable):
            rig.dump(DumpRequest.model_validate(items[-1]))

    waiting[0].result(timeout=30)
    for item in items:
        with pytest.raises(BackupYielded, match="gave way in its attempt 1"):
            rig.dump(DumpRequest.model_validate(item))


def test_the_next_attempt_takes_a_fresh_snapshot_and_finds_the_chunks(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor
) -> None:
    running(databases, rig, "CREATE TABLE still AS SELECT n FROM generate_series(1, 1000) n")
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    rig.dump_all(rig.plan(started.point_id))
    before = chunks(rig)
    running(databases, rig, "ALTER TABLE users ADD late int")
    given_way(holder)
    running(databases, rig, "DELETE FROM users WHERE id > 900")

    rig.attempt = 2
    with rig.holding(started.point_id) as second:
        rig.dump_all(rig.plan(started.point_id))
        sealed = rig.seal(started.point_id)
        assert second.result(timeout=30).released

    assert sealed.rows == 1900
    # One table is as it was: of two chunks, one lies there already.
    assert len(before) == 2
    assert len(chunks(rig) - before) == 1
    assert rig.verify(started.point_id).intact


def test_whoever_waits_while_a_complete_attempt_is_sealed_does_not_undo_it(
    rig: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    rig.dump_all(rig.plan(started.point_id))
    original = rig.signer.sign

    def slowly(digest: bytes) -> bytes:
        running(databases, rig, "ALTER TABLE users ADD late int")
        return original(digest)

    monkeypatch.setattr(rig.signer, "sign", slowly)

    rig.seal(started.point_id)

    assert holder.result(timeout=30).released
    point = rig.points.get(started.point_id)
    assert (point.state, point.yields) == (PointState.CAPTURED, 0)
    assert rig.verify(started.point_id).intact


def test_an_attempt_that_gave_way_is_not_sealed(rig: Rig, databases: Databases, pool: ThreadPoolExecutor) -> None:
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    rig.dump_all(rig.plan(started.point_id))
    running(databases, rig, "ALTER TABLE users ADD late int")
    given_way(holder)

    with pytest.raises(BackupYielded):
        rig.seal(started.point_id)

    assert rig.points.get(started.point_id).state is PointState.CAPTURING


def test_a_successor_of_a_holder_that_gave_way_says_so_too(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor
) -> None:
    """The successor queues behind the migration, the predecessor gives way, and the migration truncates."""
    started = rig.start()
    first = pool.submit(rig.hold, started.point_id, 1, seconds=4)
    published(rig, started.point_id)
    waiting = pool.submit(running, databases, rig, "TRUNCATE users")
    databases.queued(rig.parameters)
    second = pool.submit(rig.hold, started.point_id, 2)

    said = given_way(first)

    waiting.result(timeout=30)
    assert given_way(second) == said
    assert rig.points.get(started.point_id).state is PointState.CAPTURING
    assert rig.holds.current(started.point_id) is None


def test_a_catalogue_that_is_slow_keeps_the_hold_until_it_answers(
    rig: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor
) -> None:
    from holdfast.errors import StorageThrottled

    original, calls = rig.points.give_way, []

    def throttled(*arguments: Any) -> bool:
        calls.append(arguments)
        if len(calls) == 1:
            raise StorageThrottled("Slow down.")
        return original(*arguments)

    monkeypatch.setattr(rig.points, "give_way", throttled)
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    published(rig, started.point_id)

    running(databases, rig, "ALTER TABLE users ADD late int")

    given_way(holder)
    assert len(calls) == 2


def test_the_attempts_of_a_run_are_counted_when_it_begins_anew(rig: Rig) -> None:
    started = rig.start("arn:execution")
    told = [(started.attempt, started.pause_seconds)]
    for attempt in (1, 2):
        rig.points.give_way(started.point_id, attempt, "to a migration")
        point = rig.points.get(started.point_id)
        request = BackupRequest(database=DATABASE, execution="arn:execution", execution_started_at=point.started_at)
        again = start_backup(
            request, protected=rig.protected, points=rig.points, holds=rig.holds, executions=rig.executions
        )
        assert again.point_id == started.point_id
        told.append((again.attempt, again.pause_seconds))

    assert told == [(1, 60), (2, 600), (3, 0)]


def test_an_event_of_an_attempt_that_gave_way_changes_nothing_in_the_next(
    rig: Rig, databases: Databases, pool: ThreadPoolExecutor
) -> None:
    """Events are delivered at least once, and this one late; its token is answered, or it looks that way."""
    started = rig.start()
    holder = pool.submit(rig.hold, started.point_id)
    published(rig, started.point_id)
    running(databases, rig, "ALTER TABLE users ADD late int")
    given_way(holder)
    rig.attempt = 2
    with rig.holding(started.point_id) as second:
        hold = published(rig, started.point_id)
        rig.attempt = 1

        with pytest.raises(BackupYielded):
            rig.hold(started.point_id, generation=2)

        current = rig.holds.current(started.point_id)
        assert current
        assert current.snapshot == hold.snapshot
        assert not second.done()
