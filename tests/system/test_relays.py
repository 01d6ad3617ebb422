"""Snapshots that are handed on for longer than any holder lives, and those that are lost on the way."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from holdfast.ports.catalogue import Hold
from holdfast_local import system
from holdfast_local.postgres import EmbeddedPostgres
from system.providers import Providers
from system.relay import Relay
from system.world import PASSWORD, Done, World, create, holdfast_toml, until

# Whoever tells the first story waits for all of it.
pytestmark = [pytest.mark.xdist_group("system-3"), pytest.mark.timeout(600)]

LIMIT = 20
"""Seconds that a holder may live here; in AWS it is 900."""
LONG, LOST, CROWDED = "long", "lost", "crowded"
TABLES = {LONG: 5, LOST: 2, CROWDED: 1}
PAUSE = 8
"""Seconds between two attempts of a backup that gave way."""
# Blocks that are mostly empty: much to plan with, so that each table is a batch, and little to copy.
TABLE = """
    CREATE TABLE t{0} (id int PRIMARY KEY, n int, filler text) WITH (fillfactor = 10, autovacuum_enabled = off);
    INSERT INTO t{0} SELECT i, i, repeat(md5((i * {0})::text), 20) FROM generate_series(1, 8300) i;
"""
DIGEST = "SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY id)) FROM t{0} t"
BYTES_PER_SECOND = {LONG: 300_000, LOST: 300_000, CROWDED: 20_000}
"""What a copying session gets: a table has 5 MB."""
WRITERS, INTRUDERS = 3, 3
# The holder itself finds out, unless its machine is so slow that its successor does first.
REASON = "session that held the snapshot ended|ended before its successor began"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a system whose holders live for seconds, and whose copying sessions crawl."""
    directory = tmp_path_factory.mktemp("relays")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(EmbeddedPostgres(18, directory / "main", password=PASSWORD))
        relays, urls = {}, {"spare": server.url()}
        for name, tables in TABLES.items():
            create(server, name, "".join(TABLE.format(number) for number in range(1, tables + 1)))
            relays[name] = Relay(server.port, crawls="holdfast dump", bytes_per_second=BYTES_PER_SECOND[name])
            stack.callback(relays[name].close)
            urls[name] = server.url(name).replace(f":{server.port}/", f":{relays[name].port}/")
        world = World(directory, {"main": server}, relays, urls, Providers(directory))
        (directory / "holdfast.toml").write_text(
            holdfast_toml(urls, "concurrency = 1", f"yield_pauses_seconds = [{PAUSE}]"), encoding="utf-8"
        )
        stack.callback(system.down, world.state)
        up = world.holdfast("local", "up", "--limit", f"snapshot.hold={LIMIT}")
        assert up.code == 0, up.said
        yield world


@dataclass(kw_only=True)
class Ending:
    """How a story ended."""

    run: Any
    seconds: float
    digests: list[tuple[Any, ...]] = field(default_factory=list)
    generations: int = 0
    disturbances: int = 0
    refusals: int = 0
    again: Done | None = None
    status: Any = None
    left: list[str] = field(default_factory=list)


class Disturbance:
    """Sessions that write all the time, and others that try to truncate and to alter, waiting a second for the lock."""

    def __init__(self, url: str, tables: int) -> None:
        self._url, self._tables, self._over = url, tables, threading.Event()
        self.writes = self.refused = 0
        self._pool = ThreadPoolExecutor(WRITERS + INTRUDERS)

    def __enter__(self) -> Disturbance:
        self._running = [self._pool.submit(self._write, 1 + n) for n in range(WRITERS)]
        self._running += [self._pool.submit(self._intrude, n) for n in range(INTRUDERS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._running:
            each.result(timeout=30)
        self._pool.shutdown()

    def _write(self, seed: int) -> None:
        """Change rows that no other writer changes: they would end in deadlocks among themselves."""
        with psycopg.connect(self._url, autocommit=True) as session:
            turn = seed
            while not self._over.wait(0.02):
                turn += 7
                table, own = turn % self._tables + 1, seed + WRITERS * (turn % 10)
                session.execute(f"UPDATE t{table} SET n = n + 1 WHERE id % 30 = {own}".encode())
                session.execute(f"DELETE FROM t{table} WHERE id % 990 = {own}".encode())
                session.execute(
                    f"INSERT INTO t{table} (id, n) SELECT {10_000 * turn} + i, i FROM generate_series(1, 50) i".encode()
                )
                self.writes += 1

    def _intrude(self, number: int) -> None:
        statements = ("TRUNCATE t{0}", "ALTER TABLE t{0} ADD COLUMN late int", "ALTER TABLE t{0} DROP COLUMN filler")
        with psycopg.connect(self._url, autocommit=True) as session:
            session.execute("SET lock_timeout = '1s'")
            turn = number
            while not self._over.wait(0.5):
                turn += 1
                statement = statements[number].format(turn % self._tables + 1)
                with contextlib.suppress(psycopg.errors.LockNotAvailable):
                    session.execute(statement.encode())
                    return  # it came through: the locks are gone, and so is what the test is about
                self.refused += 1


def reach(world: World, execution: str, met: Callable[[], bool], what: str) -> None:
    """Wait until *met* answers true in a running execution; one that ended before says why."""
    found: list[bool] = []

    def met_or_ended() -> bool:
        found[:] = [met()]
        return found[0] or not world.system.runs.get(execution).running

    until(met_or_ended, 240, what)
    assert found[0], (what, world.system.runs.get(execution).cause)


def hold_of(world: World, execution: str, database: str, generation: int = 1) -> Hold:
    """Wait for a generation of the database's hold."""
    found: list[Hold] = []

    def published() -> bool:
        found[:] = [hold for hold in world.system.holds.open(database) if hold.generation >= generation]
        return bool(found)

    reach(world, execution, published, f"generation {generation} of {database}")
    return found[0]


def digests(world: World, database: str, tables: int, snapshot: str = "") -> list[tuple[Any, ...]]:
    """Return what the tables hold, now or in an exported snapshot."""
    with psycopg.connect(world.servers["main"].url(database), autocommit=True) as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot:
            session.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
        found = [session.execute(DIGEST.format(number).encode()).fetchone() for number in range(1, tables + 1)]
    return [row for row in found if row]


def remaining(world: World, database: str) -> list[str]:
    """Return our sessions that do not end within seconds."""
    with contextlib.suppress(AssertionError):
        until(lambda: not world.sessions(database), 30, "the end of the sessions")
    return world.sessions(database)


def relayed(world: World) -> Ending:
    """Back up for many lives of a holder while everybody writes, truncates and alters."""
    began = time.monotonic()
    execution = world.start("backup", database=LONG)
    before = digests(world, LONG, TABLES[LONG], hold_of(world, execution, LONG).snapshot)
    with Disturbance(world.servers["main"].url(LONG), TABLES[LONG]) as disturbance:
        hold_of(world, execution, LONG, 3)
        status = world.holdfast("--local", "status", LONG)
        reach(world, execution, lambda: not world.system.holds.open(LONG), "the seal")
    run = world.ended(execution, 300)
    return Ending(
        run=run,
        seconds=time.monotonic() - began,
        digests=before,
        generations=len(world.relays[LONG].snapshots),
        disturbances=disturbance.writes,
        refusals=disturbance.refused,
        status=status,
        left=remaining(world, LONG),
    )


def lost(world: World) -> Ending:
    """End the holder's session when its successor has not begun, and back up again."""
    began = time.monotonic()
    execution = world.start("backup", database=LOST)
    reach(world, execution, lambda: len(world.chunks(LOST)) >= 2, "the first chunks")
    hold = hold_of(world, execution, LOST)
    hold = hold_of(world, execution, LOST, hold.generation + 1)  # it has most of its time left
    world.query("main", LOST, f"SELECT pg_terminate_backend({hold.backend_pid})")
    run, seconds = world.ended(execution), time.monotonic() - began
    left = remaining(world, LOST)
    world.relays[LOST].open()
    again = world.holdfast("--local", "--json", "backup", LOST, "--wait")
    return Ending(run=run, seconds=seconds, again=again, left=left)


def gave_way(world: World) -> Ending:
    """Let a migration wait behind a backup that copies, for as long as it takes."""
    execution = world.start("backup", database=CROWDED)

    def copies() -> bool:
        return any(name.startswith("holdfast dump") for name in world.sessions(CROWDED))

    reach(world, execution, copies, "a copying session")
    began = time.monotonic()
    with psycopg.connect(world.servers["main"].url(CROWDED), autocommit=True) as session:
        session.execute("ALTER TABLE t1 ADD COLUMN late int")
    seconds = time.monotonic() - began
    left = remaining(world, CROWDED)
    status = world.holdfast("--local", "status", CROWDED)
    world.relays[CROWDED].open()
    return Ending(run=world.ended(execution), seconds=seconds, status=status, left=left)


STORIES: tuple[Callable[[World], Ending], ...] = (relayed, lost, gave_way)
Stories = Callable[[Callable[[World], Ending]], Ending]


@pytest.fixture(scope="module")
def story(world: World) -> Iterator[Stories]:
    """Begin all stories at once: they wait most of the time, and each has a database of its own."""
    with ThreadPoolExecutor(len(STORIES)) as pool:
        begun: dict[str, Future[Ending]] = {each.__name__: pool.submit(each, world) for each in STORIES}
        yield lambda wanted: begun[wanted.__name__].result()


def test_a_backup_of_many_generations_restores_the_state_at_its_first_snapshot(world: World, story: Stories) -> None:
    ending = story(relayed)

    assert ending.run.status == "SUCCEEDED", ending.run.cause
    assert ending.seconds > 90
    assert ending.generations >= 4
    assert ending.refusals > 30
    assert ending.disturbances > 100
    assert digests(world, LONG, TABLES[LONG]) != ending.digests
    told = world.restore(LONG, "long_again", "--target-secret", "spare")
    assert told["proof"]["proven"]
    assert digests(world, "long_again", TABLES[LONG]) == ending.digests


def test_the_status_of_a_relay_shows_the_holder_and_the_age_of_the_snapshot(story: Stories) -> None:
    ending = story(relayed)

    assert ending.status
    assert "Snapshots held open" in ending.status.said
    assert re.search(r"\d.* ago\s+generation \d", ending.status.said)


def test_a_holder_lost_between_relays_fails_the_point_in_words(story: Stories) -> None:
    ending = story(lost)

    assert (ending.run.status, ending.run.error) == ("FAILED", "SnapshotLost")
    assert re.search(REASON, ending.run.cause)


def test_the_next_backup_resumes_from_the_chunks_that_a_lost_one_stored(world: World, story: Stories) -> None:
    ending = story(lost)

    assert ending.again
    assert ending.again.code == 0, ending.again.said
    newest, failed = world.points(LOST)
    assert re.search(REASON, failed["failure"])
    assert newest["state"] == "intact"
    assert 0 < newest["bytes_new"] < newest["bytes_stored"] * 2 / 3


@pytest.mark.parametrize("told", STORIES)
def test_no_session_of_a_backup_outlives_it(story: Stories, told: Callable[[World], Ending]) -> None:
    assert story(told).left == []


def test_a_migration_goes_on_and_the_backup_begins_anew_after_it(world: World, story: Stories) -> None:
    ending = story(gave_way)

    assert 4 < ending.seconds < 60  # the copy would have lasted for minutes
    assert ending.run.status == "SUCCEEDED", ending.run.cause
    (point,) = world.points(CROWDED)
    assert (point["state"], point["yields"]) == ("intact", 1)
    assert "which waits for public.t1" in point["yielded_to"]


def test_the_status_says_to_whom_a_backup_gave_way(story: Stories) -> None:
    ending = story(gave_way)

    assert ending.status
    assert "gave way in its attempt 1 to session" in ending.status.said
    assert "It begins anew by itself." in ending.status.said or "Attempt 2 is under way." in ending.status.said
