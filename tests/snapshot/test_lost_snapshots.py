"""Ways to lose the snapshot, or to hold two: none may end in a point that lacks rows."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.copying import CopySession
from holdfast.contracts.backup import DumpRequest, HoldAnswer, HoldRequest
from holdfast.errors import SchemaChanged, SnapshotLost
from holdfast.model.points import PointState
from holdfast.ports.catalogue import Hold
from holdfast.usecases.snapshot import watching
from holdfast.usecases.snapshot.hold import Clock, Holder
from snapshot.rig import DATABASE, Rig, now
from snapshot.servers import Databases


def published(rig: Rig, point_id: str) -> Hold:
    """Return the hold of the point once there is one."""
    return rig.access(point_id, tries=200).using(lambda hold: hold)


def terminate(databases: Databases, rig: Rig, pid: int) -> None:
    with databases.connect(rig.parameters) as session:
        session.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def wait_until_blocked(databases: Databases, rig: Rig, sessions: int) -> None:
    """Wait until so many sessions of the rig's database wait for a lock."""
    with databases.connect(rig.parameters) as session:
        for _ in range(500):
            row = session.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ).fetchone()
            if row and row[0] >= sessions:
                return
            time.sleep(0.02)
    raise AssertionError(f"{sessions} sessions never waited.")


def lost(future: Future[HoldAnswer]) -> str:
    """Return what the holder failed with."""
    with pytest.raises(SnapshotLost) as found:
        future.result(timeout=60)
    return str(found.value)


def test_a_truncate_between_predecessor_and_successor_fails_the_backup(small: Rig, databases: Databases) -> None:
    """The successor imported in time but got its locks only after the TRUNCATE: it must not publish."""
    started = small.start()
    migration = databases.connect(small.parameters)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(small.hold, started.point_id, 1, seconds=30)
        hold = published(small, started.point_id)
        truncated: Future[Connection] = pool.submit(migration.execute, "TRUNCATE users")  # type: ignore[arg-type]
        wait_until_blocked(databases, small, 1)
        second = pool.submit(small.hold, started.point_id, 2, seconds=60)
        wait_until_blocked(databases, small, 2)
        terminate(databases, small, hold.backend_pid)
        lost(first)

        assert "ended before its successor began" in lost(second)

        truncated.result(timeout=30)
    migration.close()
    current = small.holds.current(started.point_id)
    assert current is None or current.generation == 1


def test_a_holder_that_is_lost_after_it_asked_for_its_successor_fails_the_point(
    small: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token is answered, so nobody would hear of it otherwise."""
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.2)
    started = small.start()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(small.hold, started.point_id, 1, seconds=4)
        hold = published(small, started.point_id)
        while not small.executions.answers:
            time.sleep(0.02)

        terminate(databases, small, hold.backend_pid)

        lost(first)
    point = small.points.get(started.point_id)
    assert point.state is PointState.FAILED
    assert "session that held the snapshot ended" in (point.failure or "")


def test_a_snapshot_that_was_lost_while_rows_were_copied_is_not_sealed(
    small: Rig, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copying session had imported the snapshot, so a TRUNCATE empties the table under it without an error."""
    started = small.start()
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(small.hold, started.point_id)
        hold = published(small, started.point_id)
        items = small.items(small.plan(started.point_id).items.key)
        small.dump(DumpRequest.model_validate(items[0]))
        original = CopySession.open

        def opened(session: CopySession) -> None:
            original(session)
            terminate(databases, small, hold.backend_pid)
            with databases.connect(small.parameters) as other:
                other.execute("TRUNCATE users")

        monkeypatch.setattr(CopySession, "open", opened)
        for item in items[1:]:
            small.dump(DumpRequest.model_validate(item))

        with pytest.raises(SnapshotLost):
            small.seal(started.point_id)

        small.holds.end(started.point_id)
        assert isinstance(holder.exception(timeout=30), SnapshotLost | None)
    assert small.points.get(started.point_id).state is PointState.CAPTURING


def test_large_objects_cannot_be_moved_while_they_are_read(databases: Databases) -> None:
    """They are read by blocks, in several sessions, so VACUUM FULL has to wait like for any other table."""
    rig = Rig(databases.create("SELECT lo_from_bytea(0, convert_to(repeat(n::text, 5000), 'UTF8')) FROM"
                               " generate_series(1, 50) n"))  # fmt: skip
    started = rig.start()
    with rig.holding(started.point_id):
        planned = rig.plan(started.point_id)
        with databases.connect(rig.parameters) as session:
            session.execute("SET lock_timeout = '200ms'")
            for name in ("pg_largeobject", "pg_largeobject_metadata"):
                with pytest.raises(Exception, match="lock timeout"):
                    session.execute(f"VACUUM FULL {name}".encode())
        rig.dump_all(planned)
        rig.seal(started.point_id)
    manifest = rig.manifest(started.point_id)
    assert manifest.large_objects
    assert manifest.large_objects.listed.rows == 50
    assert manifest.large_objects.content.rows > 50


def hold_again(rig: Rig, point_id: str, generation: int = 1) -> HoldAnswer:
    """Deliver the event of a generation that runs already once more: the same token."""
    end = time.monotonic() + 60
    token = f"token-{point_id}-{generation}"
    return Holder(
        HoldRequest(database=DATABASE, point_id=point_id, generation=generation, task_token=token),
        protected=rig.protected,
        points=rig.points,
        holds=rig.holds,
        executions=rig.executions,
        clock=Clock(now=now, sleep=lambda _: time.sleep(0.02), seconds_left=lambda: end - time.monotonic()),
    ).run()


def test_an_event_that_is_delivered_twice_at_once_publishes_one_snapshot(small: Rig, databases: Databases) -> None:
    """Both see nobody holding, for a lock delays both: the one that publishes second goes without a word."""
    started = small.start()
    small.executions.waiting.add(f"token-{started.point_id}-1")
    blocker = databases.connect(small.parameters)
    blocker.execute("BEGIN")
    blocker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(hold_again, small, started.point_id) for _ in range(2)]
        wait_until_blocked(databases, small, 2)
        blocker.execute("COMMIT")
        hold = published(small, started.point_id)
        while not any(one.done() for one in both):
            time.sleep(0.02)
        loser = next(one for one in both if one.done())

        assert loser.result() == HoldAnswer(released=False, generation=1)
        assert not small.executions.answers
        assert small.holds.current(started.point_id) == hold

        small.holds.end(started.point_id)
        answers = [one.result(timeout=30) for one in both]
    blocker.close()
    assert HoldAnswer(released=True, generation=1) in answers


@pytest.mark.parametrize("generation", [1, 2])
def test_an_event_that_is_delivered_again_later_changes_nothing(small: Rig, generation: int) -> None:
    started = small.start()
    with ThreadPoolExecutor(2) as pool:
        holders = [pool.submit(small.hold, started.point_id, 1)]
        published(small, started.point_id)
        if generation == 2:
            holders.append(pool.submit(small.hold, started.point_id, 2))
            while published(small, started.point_id).generation == 1:
                time.sleep(0.02)
            holders[0].result(timeout=30)
        hold, answers = published(small, started.point_id), list(small.executions.answers)

        assert not hold_again(small, started.point_id, generation).released

        now_held = published(small, started.point_id)
        assert (now_held.snapshot, now_held.generation) == (hold.snapshot, generation)
        assert small.executions.answers == answers
        small.holds.end(started.point_id)
        assert holders[-1].result(timeout=30).released


def test_an_error_that_nobody_thought_of_is_answered_too(small: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise TypeError("a secret")

    monkeypatch.setattr("holdfast.usecases.snapshot.opening.export_first", broken)
    started = small.start()

    with pytest.raises(TypeError):
        small.hold(started.point_id)

    token, outcome, error, cause = small.executions.answers[0]
    assert (token, outcome, error) == (f"token-{started.point_id}-1", "failed", "TypeError")
    assert "secret" not in cause


@pytest.mark.parametrize(
    ("statement", "when"),
    [
        ("ALTER SEQUENCE orders_id_seq RESTART WITH 1", "before planning"),
        ("ALTER SEQUENCE orders_id_seq RESTART WITH 1", "before copying"),
        ("ALTER SEQUENCE orders_id_seq RESTART WITH 1", "before sealing"),
        ("SELECT setval('orders_id_seq', 7)", "before copying"),
    ],
)
def test_a_sequence_that_is_set_back_meanwhile_fails_the_seal(
    small: Rig, databases: Databases, statement: str, when: str
) -> None:
    """Its rows are older than its value then, so a restored copy would hand out their numbers again."""

    def at(moment: str) -> None:
        if moment == when:
            with databases.connect(small.parameters) as session:
                session.execute(statement.encode())

    small.yield_pauses_seconds = ()
    started = small.start()
    with small.holding(started.point_id):
        at("before planning")
        planned = small.plan(started.point_id)
        at("before copying")
        small.dump_all(planned)
        at("before sealing")

        with pytest.raises(SchemaChanged, match="orders_id_seq"):
            small.seal(started.point_id)


def test_a_sequence_that_moves_on_meanwhile_harms_nothing(small: Rig, databases: Databases) -> None:
    with databases.connect(small.parameters) as session:
        # Behind its rows already: the application's own affair, and restored as it is.
        session.execute("SELECT setval('orders_id_seq', 400)")
        session.execute("CREATE SEQUENCE around MAXVALUE 2 CYCLE; SELECT nextval('around'), nextval('around')")
    started = small.start()
    with small.holding(started.point_id):
        planned = small.plan(started.point_id)
        with databases.connect(small.parameters) as session:
            session.execute("SELECT nextval('orders_id_seq'), nextval('around')")
        small.dump_all(planned)
        small.seal(started.point_id)

    found = {one.name: one.value for one in small.manifest(started.point_id).sequences}
    assert found == {"orders_id_seq": 401, "around": 1}
