"""Statements that take longer than any invocation: the server goes on, and the next invocation follows it."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from holdfast.adapters.postgres.memory import lend_memory, spare_memory
from holdfast.contracts.restore import Assessed, BatchRequest
from holdfast.contracts.restoring import Progress
from holdfast.errors import DatabaseBusy, DatabaseUnreachable, HoldfastError, StillWorking, TargetIncompatible
from holdfast.usecases.restore import running
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from holdfast_local.postgres import EmbeddedPostgres
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine, machine

LIMIT = 1.5
"""Seconds that an invocation of these tests may last."""
SLOW = """
    CREATE FUNCTION slow(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
      IF pg_catalog.current_database() = '{home}' THEN RETURN n; END IF;
      RAISE NOTICE '% %', n, pg_catalog.repeat('notice', 20000);
      PERFORM pg_catalog.pg_sleep(0.02);
      RETURN n; END$$;
    CREATE TABLE t (a int);
    INSERT INTO t SELECT generate_series(1, 200);
"""
"""Reading t through slow() takes 4 s anywhere but at home, and says more than any socket's buffer holds."""
RETRIED = (StillWorking, DatabaseBusy, DatabaseUnreachable)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return a server whose processes may be killed."""
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("fragile"), settings={"shared_buffers": "64MB"}) as server:
        yield Databases(server)


@dataclass
class Invocations:
    """Runs a batch as the state machine does: each invocation has `LIMIT` seconds, and what passes is retried."""

    machine: Machine
    databases: Databases
    into: str
    request: BatchRequest
    said: list[str] = field(default_factory=list)
    seen: list[Progress] = field(default_factory=list)

    def once(self, limit: float = LIMIT) -> None:
        until = time.monotonic() + limit
        finish(self.request, replace(self.machine.world, seconds_left=lambda: until - time.monotonic()))

    def until_done(self, between: Callable[[], object] = lambda: None) -> None:
        for _ in range(100):
            try:
                self.once()
                return
            except RETRIED as error:
                self.said.append(str(error))
                self.seen += self.progress()
                between()
                time.sleep(0.1)
        raise AssertionError(f"It never ended: {self.said[-1]}")

    def progress(self) -> list[Progress]:
        found = self.machine.scratch.objects
        return [Progress.model_validate_json(found[key]) for key in sorted(found) if "/progress/" in key]

    def workers(self) -> list[int]:
        """Return the processes of the server that work on a slice."""
        query = f"""
            SELECT pid FROM pg_stat_activity WHERE datname = '{self.into}' AND state = 'active'
            AND backend_type = 'client backend' AND application_name ~ '/' AND pid <> pg_backend_pid()
        """
        return [int(str(row[0])) for row in self.databases.run("postgres", query)]

    def await_worker(self) -> int:
        deadline = time.monotonic() + 20
        while not (found := self.workers()):
            assert time.monotonic() < deadline, "Nobody works."
            time.sleep(0.05)
        return found[0]


@dataclass
class Story:
    """A restore that stands before the stage that a test is about."""

    machine: Machine
    assessed: Assessed
    invocations: Invocations

    def ends_well(self) -> None:
        ended = self.machine.go_on(self.assessed)
        assert ended.proof.differences == ()
        assert ended.report.succeeded


Tell = Callable[..., Story]


@pytest.fixture
def story(fragile: Databases, archiver: Archiver) -> Tell:
    """Return a function that archives what a script makes, and restores it up to the stage *stage*."""

    def tell(script: str, stage: str) -> Story:
        source, into = fragile.create(), fragile.name()
        fragile.run(source, script.replace("{home}", source))
        archiver.take(fragile.parameters(source))
        made = machine(archiver, {"holdfast/shop": fragile.server.url(source)})
        assessed = made.assess(into)
        made.prepare(assessed)
        made.map(assessed.load, load)
        for found in assessed.finish:
            if stage in found.name:
                (request, *_) = made.items(found.items)
                return Story(made, assessed, Invocations(made, fragile, into, request))
            made.map(found.items, finish)
        raise AssertionError(f"There is no stage {stage}.")

    return tell


INDEX = SLOW + "CREATE INDEX i ON t (slow(a)); ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 0;"
VIEW = SLOW + "CREATE MATERIALIZED VIEW v AS SELECT slow(a) AS a FROM t;"
STATISTICS = SLOW + "CREATE STATISTICS s ON (slow(a)), (a % 2) FROM t;"


@pytest.mark.parametrize(
    ("script", "stage", "sentence"),
    [
        pytest.param(INDEX, "indexes", r"index public\.i: building index: .*, \d+ %, for \d+ s", id="an index"),
        pytest.param(VIEW, "refresh", r"materialised view public\.v: working, for \d+ s", id="a view"),
        pytest.param(STATISTICS, "analyze", r"statistics of public\.t: computing .*, for \d+ s", id="ANALYZE"),
    ],
)
def test_a_statement_that_takes_several_invocations_is_sent_once_and_told_of(
    story: Tell, script: str, stage: str, sentence: str
) -> None:
    told = story(script, stage)
    workers: list[int] = []

    told.invocations.until_done(lambda: workers.extend(told.invocations.workers()))

    assert len(set(workers)) == 1
    assert len(told.invocations.said) >= 2
    assert any(re.search(sentence, text) for text in told.invocations.said)
    assert any(re.search(sentence, progress.sentence) for progress in told.invocations.seen)
    assert [progress.ended for progress in told.invocations.progress()] == [True]
    told.ends_well()


@pytest.mark.parametrize(
    ("script", "stage"),
    [pytest.param(INDEX, "indexes", id="an index"), pytest.param(VIEW, "refresh", id="a view")],
)
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(
            lambda story, pid: story.invocations.databases.run("postgres", f"SELECT pg_terminate_backend({pid})"),
            id="ended by an administrator",
        ),
        pytest.param(lambda _, pid: os.kill(pid, signal.SIGKILL), id="killed, which restarts the server"),
    ],
)
def test_a_statement_whose_session_is_lost_is_sent_again(
    story: Tell, script: str, stage: str, end: Callable[[Story, int], object]
) -> None:
    told = story(script, stage)
    with pytest.raises(StillWorking):
        told.invocations.once()
    lost = told.invocations.await_worker()
    end(told, lost)
    time.sleep(0.2)

    told.invocations.until_done()

    attempts = "SELECT max(attempts) FROM holdfast_restore.attempts"
    assert told.invocations.databases.run(told.invocations.into, attempts) == [(2,)]
    assert told.invocations.databases.run(told.invocations.into, "SELECT 1 FROM pg_index WHERE NOT indisvalid") == []
    told.ends_well()


def test_limits_of_the_archived_database_do_not_end_what_takes_long(fragile: Databases, story: Tell) -> None:
    told = story(STATISTICS, "analyze")
    for limit in ("statement_timeout", "transaction_timeout", "idle_session_timeout", "lock_timeout"):
        fragile.run("postgres", f"ALTER DATABASE {told.invocations.into} SET {limit} = '400ms'")

    told.invocations.until_done()

    assert told.invocations.said != []
    assert fragile.run(told.invocations.into, "SELECT max(attempts) FROM holdfast_restore.attempts") == [(1,)]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_statement_goes_on_without_its_function_whatever_it_has_to_say(story: Tell, sent: signal.Signals) -> None:
    told = story(INDEX, "indexes")
    function = multiprocessing.get_context("fork").Process(target=told.invocations.once, args=(60,))
    function.start()
    worker = told.invocations.await_worker()
    assert function.pid is not None
    os.kill(function.pid, sent)
    try:
        told.invocations.until_done(lambda: worker in told.invocations.workers() or pytest.fail("It was sent again."))
    finally:
        function.kill()
        function.join()

    told.ends_well()


FAILING = """
    CREATE FUNCTION odd(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
      IF pg_catalog.current_database() = '{home}' THEN RETURN n; END IF;
      PERFORM pg_catalog.pg_sleep(0.02);
      IF n > 150 THEN {fails}; END IF;
      RETURN n; END$$;
    CREATE TABLE t (a int);
    INSERT INTO t SELECT generate_series(1, 200);
    CREATE INDEX i ON t (odd(a));
"""


@pytest.mark.parametrize(
    ("fails", "code"),
    [
        pytest.param("RAISE 'secret of row %', n", "P0001", id="an exception"),
        pytest.param("RAISE 'secret of row %', n USING ERRCODE = '42P01'", "42P01", id="disguised as another"),
        pytest.param("ASSERT n < 0, 'secret of row ' || n", "P0004", id="an assertion"),
    ],
)
def test_a_statement_that_fails_when_nobody_listens_is_not_sent_again_and_again(
    fragile: Databases, story: Tell, fails: str, code: str
) -> None:
    told = story(FAILING.replace("{fails}", fails), "indexes")

    with pytest.raises(HoldfastError) as caught:
        told.invocations.until_done()

    assert code in str(caught.value)
    assert "index public.i" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert fragile.run(told.invocations.into, "SELECT attempts FROM holdfast_restore.attempts") == [(1,)]


def test_a_slice_whose_sessions_are_lost_each_time_fails_with_a_remedy(
    fragile: Databases, story: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "MOST_ATTEMPTS", 2)
    told = story(INDEX, "indexes")

    def lose() -> None:
        for pid in told.invocations.workers():
            fragile.run("postgres", f"SELECT pg_terminate_backend({pid})")

    with pytest.raises(TargetIncompatible, match=r"each of 2 sessions that worked on index public\.i.*memory"):
        told.invocations.until_done(lose)


@pytest.mark.parametrize(
    ("beside", "memory", "helpers"),
    [
        pytest.param(1, "16MB", 4, id="alone"),
        pytest.param(2, "8MB", 4, id="two share a quarter of the shared buffers"),
        pytest.param(16, "4MB", 1, id="never less than the server gives anybody"),
    ],
)
def test_builders_share_what_the_server_can_spare(fragile: Databases, beside: int, memory: str, helpers: int) -> None:
    with fragile.connect("postgres") as connection:
        connection.execute("SET maintenance_work_mem = '4MB'; SET max_parallel_maintenance_workers = 1")
        assert connection.execute("SHOW shared_buffers").fetchone() == ("64MB",)

        lend_memory(connection, beside=beside)

        assert connection.execute("SHOW maintenance_work_mem").fetchone() == (memory,)
        assert connection.execute("SHOW max_parallel_maintenance_workers").fetchone() == (str(helpers),)

        spare_memory(connection)

        assert connection.execute("SHOW maintenance_work_mem").fetchone() == ("64MB",)
        assert connection.execute("SHOW max_parallel_maintenance_workers").fetchone() == ("0",)
