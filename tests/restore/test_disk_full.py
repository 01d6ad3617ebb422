"""A target whose disk is full: said with a remedy, nothing looks complete, and with space it goes on to the end."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from holdfast.adapters.postgres.complaints import complaint
from holdfast.adapters.postgres.lasting import failure_of
from holdfast.adapters.postgres.translation import from_sqlstate
from holdfast.contracts.restore import Assessed, BatchRequest
from holdfast.errors import (
    DatabaseUnreachable,
    HoldfastError,
    Permanent,
    ProgramFailed,
    SourceDiskFull,
    SourceRefused,
    TargetDiskFull,
    TargetIncompatible,
    TargetNotEmpty,
    Transient,
)
from holdfast.model.points import PointState
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from holdfast_local.postgres import EmbeddedPostgres
from holdfast_local.postgres.identity import current_identity
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine, machine

ROOM = 16 * 1024 * 1024 + 4096
"""More than a segment of WAL, and in the middle of a block, of which half is written: the server calls that full."""
ROWS = "CREATE TABLE t (a int, b text); INSERT INTO t SELECT n, repeat('x', 1900) FROM generate_series(1, 10000) n;"
ROOMY = {"maintenance_work_mem": "64MB", "shared_buffers": "256MB"}
"""Nobody has to write other sessions' blocks, which the limit is not meant for."""
INDEX = """
    CREATE TABLE t (a int);
    INSERT INTO t SELECT generate_series(1, 40000);
    CREATE FUNCTION wide(n int) RETURNS text LANGUAGE sql IMMUTABLE RETURN repeat(md5(n::text), 15);
    CREATE INDEX i ON t (wide(a));
"""
"""The table has 1.4 MB, its index 21."""


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return a server whose disk `full` fills. It is an old one, which writes block by block."""
    with EmbeddedPostgres(15, tmp_path_factory.mktemp("cramped"), settings=ROOMY) as server:
        yield Databases(server)


@contextmanager
def full(databases: Databases) -> Iterator[None]:
    """Let no file of the server's new sessions grow beyond `ROOM`: to it, that is a disk without space."""
    databases.run("postgres", "CHECKPOINT")
    _limit_files(databases.server.pid, ROOM)
    try:
        yield
    finally:
        _limit_files(databases.server.pid, resource.RLIM_INFINITY)


def _limit_files(pid: int, most: int) -> None:
    """Limit what the process *pid* writes, as the server's own user, who alone may."""

    def limit() -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    identity = current_identity().popen_arguments()
    subprocess.run(["/bin/true"], preexec_fn=limit, check=True, **identity)


@dataclass(frozen=True)
class Story:
    """A restore that stands before the batches that will not fit, and those."""

    machine: Machine
    assessed: Assessed
    into: str
    batches: list[BatchRequest]
    function: Callable[..., object]

    def try_batches(self) -> None:
        for batch in self.batches:
            self.function(batch, self.machine.world)


Tell = Callable[..., Story]


@pytest.fixture
def story(cramped: Databases, archiver: Archiver) -> Tell:
    def tell(script: str) -> Story:
        archiver.chunk_bytes = 1024 * 1024
        source, into = cramped.create(script), cramped.name()
        archiver.take(cramped.parameters(source))
        made = machine(archiver, {"holdfast/shop": cramped.server.url(source)})
        assessed = made.assess(into)
        made.prepare(assessed)
        if "INDEX" not in script:
            return Story(made, assessed, into, made.items(assessed.load), load)
        made.map(assessed.load, load)
        (stage,) = [stage for stage in assessed.finish if "indexes" in stage.name]
        return Story(made, assessed, into, made.items(stage.items), finish)

    return tell


@pytest.mark.parametrize(
    ("script", "named"),
    [pytest.param(ROWS, r"public\.t", id="rows"), pytest.param(INDEX, r"index public\.i", id="an index")],
)
def test_a_full_disk_is_told_with_its_remedy_and_with_space_the_restore_converges(
    cramped: Databases, story: Tell, script: str, named: str
) -> None:
    told = story(script)
    run = told.machine.restores.get(told.assessed.restore_id)
    assert run is not None

    with full(cramped), pytest.raises(TargetDiskFull, match=rf"53100.*{named}.*Enlarge the disk.*drop.*restore again"):
        told.try_batches()

    assert not isinstance(TargetDiskFull(""), Transient), "a disk does not grow by waiting"
    assert cramped.run(told.into, "SELECT 1 FROM pg_index WHERE NOT indisvalid") == []
    ended = told.machine.go_on(told.assessed)
    assert ended.proof.differences == ()
    assert ended.report.succeeded


def test_a_restore_that_met_a_full_disk_is_reported_and_nothing_looks_complete(cramped: Databases, story: Tell) -> None:
    told = story(ROWS)
    with full(cramped), pytest.raises(TargetDiskFull) as caught:
        told.try_batches()

    reported = told.machine.report(told.assessed, "TargetDiskFull", str(caught.value))

    assert not reported.succeeded
    assert "53100" in reported.sentence
    assert "Enlarge the disk" in reported.sentence
    assert told.machine.restores.locks == {}
    assert [point.state for point in told.machine.archiver.points.points.values()] == [PointState.INTACT]
    loaded = "SELECT count(*) FROM holdfast_restore.marks WHERE mark LIKE 'load/%'"
    (number,) = cramped.run(told.into, loaded)[0]
    manifest = told.machine.world.manifest(told.machine.world.plan(told.assessed.restore_id))
    rows = sum(chunk.rows for chunk in manifest.tables[0].chunks[: int(str(number))])
    assert cramped.run(told.into, "SELECT count(*) FROM t") == [(rows,)], "whole chunks only"

    again = told.machine.fails(told.into)

    assert isinstance(again, TargetNotEmpty)
    assert told.assessed.restore_id in str(again)
    cramped.run("postgres", f"DROP DATABASE {told.into}")
    assert told.machine.run(told.into).proof.proven


def test_an_index_that_did_not_fit_while_nobody_listened_is_told_once_and_then_tried_again(
    cramped: Databases, story: Tell
) -> None:
    told = story(INDEX)
    with full(cramped), pytest.raises(HoldfastError):
        told.try_batches()
    kept = "INSERT INTO holdfast_restore.failures SELECT %s, '53100', 'could not extend file'"
    plan = told.machine.world.plan(told.assessed.restore_id)
    mark = next(each["mark"] for each in _slices(told) if "index" in str(each["what"]))
    with cramped.connect(told.into) as connection:
        assert failure_of(connection, mark) is None, "it has been told"
        connection.execute(kept, (mark,))

    with pytest.raises(TargetDiskFull, match="could not extend file"):
        told.try_batches()

    assert told.machine.go_on(told.assessed).proof.proven
    assert plan.into == told.into


def _slices(told: Story) -> list[dict[str, str]]:
    found = [json.loads(body) for key, body in told.machine.scratch.objects.items() if "/batches/" in key]
    return [each for batch in found for each in batch.get("slices", ())]


def test_a_limit_on_temporary_files_is_no_reason_to_try_again(cramped: Databases, story: Tell) -> None:
    told = story(INDEX)
    with cramped.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {told.into} SET temp_file_limit = '1MB'")
        connection.execute(f"ALTER DATABASE {told.into} SET maintenance_work_mem = '1MB'")

    with pytest.raises(TargetIncompatible, match=r"53400.*index public\.i.*ALTER ROLE … SET temp_file_limit"):
        told.try_batches()

    cramped.run("postgres", f"ALTER DATABASE {told.into} RESET ALL")
    told.try_batches()
    assert told.machine.go_on(told.assessed).report.succeeded


def test_a_session_that_ends_between_two_statements_is_one_that_is_tried_again(cramped: Databases, story: Tell) -> None:
    told = story(INDEX)

    def ended() -> float:
        cramped.run(
            "postgres",
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{told.into}'",
        )
        return 900

    patient = told.machine.with_time(900)
    object.__setattr__(patient.world, "seconds_left", ended)

    with pytest.raises(DatabaseUnreachable, match="while working on"):
        told.function(told.batches[0], patient.world)


@pytest.mark.parametrize(
    ("code", "sentence", "expected"),
    [
        pytest.param("53100", "could not extend file", SourceDiskFull, id="full"),
        pytest.param("XX000", 'could not extend file "base/1": Disk quota exceeded', SourceDiskFull, id="a quota"),
        pytest.param("XX000", 'could not extend file "base/1": File too large', SourceDiskFull, id="a limit on files"),
        pytest.param("53400", "temporary file size exceeds temp_file_limit (1024kB)", SourceRefused, id="a limit"),
    ],
)
def test_a_source_without_space_is_a_permanent_refusal(code: str, sentence: str, expected: type[HoldfastError]) -> None:
    found = from_sqlstate(code, doing="reading public.t", detail=sentence)

    assert type(found) is expected
    assert isinstance(found, Permanent)
    assert "public.t" in str(found)
    assert found.hint


@pytest.mark.parametrize(
    ("program", "said", "expected"),
    [
        pytest.param("psql", "ERROR:  53100", SourceDiskFull, id="psql's code"),
        pytest.param(
            "pg_dump", "query failed: ERROR:  could not write: No space left on device", SourceDiskFull, id="pg_dump"
        ),
        pytest.param(
            "pg_dump", "could not write to output file: No space left on device", ProgramFailed, id="our disk"
        ),
    ],
)
def test_what_programs_say_of_a_full_disk_is_understood(program: str, said: str, expected: type[HoldfastError]) -> None:
    assert type(complaint(program, 1, said, doing="copying public.t")) is expected
