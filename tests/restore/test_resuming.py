"""Functions die at any moment, and what they left is neither lost nor done twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fakes import MemoryArchive
from holdfast.adapters.counted_archive import CountedArchive
from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.contents import DatabaseFacts
from holdfast.adapters.postgres.marks import create_marks, done_marks
from holdfast.adapters.postgres.sending import RestoreSession, Waiting
from holdfast.adapters.postgres.target import create_database
from holdfast.contracts.restore import Assessed, PrepareRequest
from holdfast.contracts.restoring import SliceDocument
from holdfast.errors import ArchiveDamaged, HoldfastError, StillWorking, StorageThrottled, TargetNotEmpty
from holdfast.model import restoring
from holdfast.usecases.restore import prepare as preparing
from holdfast.usecases.restore import running
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from holdfast.usecases.restore.prepare import prepare
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

ROWS = "CREATE TABLE t (a int, b text); INSERT INTO t SELECT n, repeat(md5(n::text), 5) FROM generate_series(1, 5000) n"


@pytest.fixture(scope="module")
def rows(databases: Databases) -> str:
    return databases.create(ROWS)


@pytest.fixture
def ready(databases: Databases, rows: str, archiver: Archiver, wired: Callable[..., Machine]) -> Machine:
    archiver.take(databases.parameters(rows))
    return wired(rows)


def loaded(databases: Databases, into: str) -> tuple[object, ...]:
    return databases.run(into, "SELECT count(*), count(DISTINCT a), min(a), max(a) FROM t")[0]


def prepared(machine: Machine, into: str) -> Assessed:
    assessed = machine.assess(into)
    machine.prepare(assessed)
    return assessed


def test_everything_may_be_repeated_as_a_whole(restored: Machine, databases: Databases) -> None:
    into = databases.name()
    assessed = restored.assess(into)
    restored.prepare(assessed)
    restored.map(assessed.load, load)
    for stage in assessed.finish:
        restored.map(stage.items, finish)
    for key in [key for key in restored.scratch.objects if "/results/" in key]:
        del restored.scratch.objects[key]

    ended = restored.go_on(assessed)

    assert ended.proof.differences == ()


def test_comparing_again_after_the_marks_are_gone_gives_the_same_answer(ready: Machine, databases: Databases) -> None:
    ended = ready.run(databases.name())

    again = ready.report(ended.assessed)

    assert again.succeeded
    assert again.key == ended.report.key


def test_a_database_that_was_created_but_not_marked_is_taken(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    assessed = ready.assess(into)
    with databases.connect("postgres") as connection:
        create_database(connection, into, ready.world.plan(assessed.restore_id).locale)

    assert ready.go_on(assessed).proof.proven


def test_a_database_that_somebody_filled_since_it_was_assessed_is_left_alone(
    ready: Machine, databases: Databases
) -> None:
    into = databases.name()
    assessed = ready.assess(into)
    databases.run("postgres", f"CREATE DATABASE {into} TEMPLATE template0")
    databases.run(into, "CREATE TABLE precious (a int)")

    with pytest.raises(TargetNotEmpty, match="precious"):
        ready.prepare(assessed)


def test_a_database_that_another_invocation_marks_at_this_moment_is_ours(
    ready: Machine, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = databases.name()
    assessed = ready.assess(into)
    read = preparing.database_facts

    def marked_meanwhile(connection: Connection) -> DatabaseFacts:
        with databases.connect(into) as another:
            create_marks(another, assessed.restore_id)
        return read(connection)

    monkeypatch.setattr(preparing, "database_facts", marked_meanwhile)

    ready.prepare(assessed)

    assert databases.run(into, "SELECT restore_id FROM holdfast_restore.run") == [(assessed.restore_id,)]


def test_a_step_of_one_restore_never_writes_into_the_database_of_another(ready: Machine, databases: Databases) -> None:
    first = prepared(ready, databases.name())
    second = ready.assess(databases.name())
    plan = ready.world.plan(first.restore_id)
    ready.world.write(
        f"restore/{second.restore_id}/plan.json", plan.model_copy(update={"restore_id": second.restore_id})
    )

    with pytest.raises(TargetNotEmpty, match=first.restore_id):
        load(ready.items(second.load)[0], ready.world)


def test_preparing_in_small_slices_converges(
    databases: Databases, shop: str, archiver: Archiver, wired: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "SLICE_ENTRIES", 3)
    monkeypatch.setattr(preparing, "SECONDS_EACH", 0)
    archiver.take(databases.parameters(shop))
    machine, into = wired(shop), databases.name()
    assessed = machine.assess(into)
    for number in range(assessed.slices_before):
        for _ in range(2):
            answer = prepare(PrepareRequest(restore_id=assessed.restore_id, slice=number), machine.world)
        assert answer.slice == number + 1

    ended = machine.go_on(assessed)

    assert assessed.slices_before > 10
    assert ended.proof.differences == ()


@pytest.mark.parametrize("chunks", [0, 1, 7])
def test_loading_goes_on_where_it_was_killed(ready: Machine, databases: Databases, chunks: int) -> None:
    into = databases.name()
    assessed = prepared(ready, into)
    dying = replace(ready.world, archive=CountedArchive(DyingArchive(ready.archiver.archive, chunks)))
    request = ready.items(assessed.load)[0]

    with pytest.raises(StorageThrottled):
        load(request, dying)
    before = databases.run(into, "SELECT count(*) FROM holdfast_restore.marks WHERE mark LIKE 'load/%'")
    load(request, ready.world)

    assert before == [(chunks,)]
    assert loaded(databases, into) == (5000, 5000, 1, 5000)


def test_loading_leaves_to_the_next_invocation_what_does_not_fit(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    assessed = prepared(ready, into)

    with pytest.raises(StillWorking, match="no time left"):
        load(ready.items(assessed.load)[0], ready.with_time(0).world)


def test_batches_that_run_side_by_side_load_each_chunk_once(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    assessed = prepared(ready, into)
    request = ready.items(assessed.load)[0]

    load(request, ready.world)
    ready.scratch.objects = {key: body for key, body in ready.scratch.objects.items() if "/results/" not in key}
    load(request, ready.world)

    assert loaded(databases, into) == (5000, 5000, 1, 5000)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda body: body[:-10], id="cut short"),
        pytest.param(lambda body: body + b"\0" * 10, id="longer"),
        pytest.param(lambda body: body[: len(body) // 2] + b"\xff\xfe" + body[len(body) // 2 + 2 :], id="flipped"),
        pytest.param(lambda body: b"no zstd at all" + body[14:], id="no compressed data"),
        pytest.param(lambda _: b"", id="empty"),
    ],
)
def test_a_damaged_chunk_is_never_committed(
    ready: Machine, databases: Databases, change: Callable[[bytes], bytes]
) -> None:
    into = databases.name()
    assessed = prepared(ready, into)
    key = next(key for key in ready.archiver.archive.versions if "/chunks/" in key)
    ready.archiver.archive.damage(key, change(ready.archiver.archive.read(key)))

    with pytest.raises(ArchiveDamaged, match=r"public\.t"):
        load(ready.items(assessed.load)[0], ready.world)

    sha256 = key.split("/")[-1].removesuffix(".zst")
    manifest = ready.world.manifest(ready.world.plan(assessed.restore_id))
    chunk = next(chunk for chunk in manifest.tables[0].chunks if chunk.sha256 == sha256)
    rows, marks = databases.run(
        into, "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM holdfast_restore.marks WHERE mark LIKE 'load/%')"
    )[0]
    assert rows == sum(other.rows for other in manifest.tables[0].chunks[:marks])
    assert chunk not in manifest.tables[0].chunks[:marks]


def test_a_chunk_with_another_row_count_than_the_manifest_is_never_committed(
    ready: Machine, databases: Databases
) -> None:
    manifest = ready.world.manifest(ready.world.plan(ready.assess("unused").restore_id))
    table = manifest.tables[0]
    lying = table.chunks[0].model_copy(update={"rows": table.chunks[0].rows + 1})
    resealed = manifest.model_copy(
        update={
            "point_id": "shop-20260201t120000z-00000c",
            "tables": (table.model_copy(update={"chunks": (lying, *table.chunks[1:])}),),
        }
    )
    ready.archiver.seal(resealed)
    into = databases.name()
    assessed = prepared(ready, into)

    with pytest.raises(ArchiveDamaged, match="the manifest says"):
        load(ready.items(assessed.load)[0], ready.world)

    assert loaded(databases, into)[0] == 0


def test_a_chunk_that_is_missing_is_named(ready: Machine, databases: Databases) -> None:
    assessed = prepared(ready, databases.name())
    key = next(key for key in ready.archiver.archive.versions if "/chunks/" in key)
    ready.archiver.archive.versions[key].clear()

    with pytest.raises(ArchiveDamaged):
        load(ready.items(assessed.load)[0], ready.world)


@pytest.fixture
def marked(databases: Databases) -> str:
    name = databases.create()
    with databases.connect(name) as connection:
        create_marks(connection, "run")
    return name


def test_a_statement_that_outlives_its_function_is_waited_for_and_not_sent_again(
    databases: Databases, marked: str
) -> None:
    slow = b"SELECT pg_sleep(1.5); CREATE TABLE public.built (a int)"
    with pytest.raises(StillWorking, match="still works"), session(databases, marked) as first:
        first.run_once("m", slow, wait=for_seconds(0.3), what="the index")

    with session(databases, marked) as second:
        again = second.run_once("m", slow, wait=for_seconds(30), what="the index")

    assert again is False
    assert databases.run(marked, "SELECT count(*) FROM built") == [(0,)]


KILLED = """
import sys
from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.sending import RestoreSession
with RestoreSession(ConnectionParameters.from_secret(sys.stdin.readline()), encoding="UTF8", doing="test") as session:
    print("connected", flush=True)
    slow = b"SELECT pg_sleep(1.5); CREATE TABLE public.built (a int)"
    session.run_once("m", slow, wait=lambda ended: str(ended(60)), what="the index")
"""


def test_a_statement_goes_on_when_its_process_is_killed(databases: Databases, marked: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(databases.server.url(marked) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "connected\n"
        wait_until(lambda: databases.run(marked, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != [])
        process.send_signal(signal.SIGKILL)

    with session(databases, marked) as second:
        again = second.run_once("m", b"CREATE TABLE public.built (a int)", wait=for_seconds(30), what="the index")

    assert again is False
    assert databases.run(marked, "SELECT count(*) FROM built") == [(0,)]


def test_a_transaction_that_fails_leaves_no_mark(databases: Databases, marked: str) -> None:
    with session(databases, marked) as first, pytest.raises(HoldfastError):
        first.run_once("m", b"CREATE TABLE public.built (a int); SELECT 1 / 0", wait=for_seconds(30), what="it")

    with session(databases, marked) as second:
        assert done_marks(second.connection, ["m"]) == frozenset()
        assert second.run_once("m", b"CREATE TABLE public.built (a int)", wait=for_seconds(30), what="it")


def test_an_error_in_a_slice_says_what_was_restored_and_quotes_no_rows(databases: Databases, marked: str) -> None:
    with session(databases, marked) as first, pytest.raises(HoldfastError) as caught:
        first.run_once(
            "m",
            b"CREATE TABLE public.s (a int UNIQUE); INSERT INTO public.s VALUES (4242), (4242)",
            wait=for_seconds(30),
            what="the index s_a",
        )

    assert "the index s_a" in str(caught.value)
    assert "4242" not in str(caught.value)


def test_slices_that_lock_each_other_out_are_both_run(ready: Machine, databases: Databases) -> None:
    into = databases.name()
    plan = ready.world.plan(prepared(ready, into).restore_id)
    databases.run(into, "CREATE TABLE x (a int); CREATE TABLE y (a int)")

    def run(first: str, second: str) -> None:
        statements = (f"LOCK TABLE public.{first}", "SELECT pg_catalog.pg_sleep(0.5)", f"LOCK TABLE public.{second}")
        document = SliceDocument(mark=first, what=first, statements=statements)
        running.run_slices(plan, [document], ready.world, stage="test")

    with ThreadPoolExecutor() as pool:
        list(pool.map(run, "xy", "yx"))

    assert databases.run(into, "SELECT count(*) FROM holdfast_restore.marks WHERE mark IN ('x', 'y')") == [(2,)]


def for_seconds(seconds: float) -> Waiting:
    def wait(ended: Callable[[float], bool]) -> str:
        ended(seconds)
        return ""

    return wait


def session(databases: Databases, name: str) -> RestoreSession:
    return RestoreSession(databases.parameters(name), encoding="UTF8", doing="test")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "It never became true."
        time.sleep(0.02)


class DyingArchive:
    """An archive whose function dies in the middle of chunk *after*."""

    def __init__(self, archive: MemoryArchive, after: int) -> None:
        self._archive, self._left = archive, after

    def read(self, key: str, version_id: str | None = None) -> bytes:
        return self._archive.read(key, version_id)

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        if self._left == 0:
            yield self._archive.read(key, version_id)[:500]
            raise StorageThrottled("Killed.")
        self._left -= 1
        yield from self._archive.stream(key, version_id)
