"""Reading back in shares misses nothing and repeats nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.work import Done
from holdfast.usecases.restore.prove import prove
from holdfast.usecases.restore.world import World
from holdfast_local.postgres import EmbeddedPostgres
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return a server on which we are no superuser."""
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("managed")) as server:
        databases = Databases(server)
        databases.run("postgres", "CREATE ROLE admin LOGIN PASSWORD 'admin' CREATEDB CREATEROLE")
        yield databases


@pytest.mark.parametrize("read_from", ["pg_largeobject", "lo_get"])
@pytest.mark.parametrize("role", ["postgres", "admin"])
def test_large_objects_are_proven_however_they_were_and_are_read(
    managed: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine],
    monkeypatch: pytest.MonkeyPatch, *, role: str, read_from: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("holdfast.usecases.restore.batching.PROVE_PART", 1_000_000)
    archiver.large_objects_from = read_from
    objects = "SELECT lo_from_bytea(0, convert_to(repeat(md5(n::text), 50000), 'UTF8')) FROM generate_series(1, 3) n"
    archiver.take(databases.parameters(databases.create(f"{objects}; CREATE TABLE t (a int)")))
    machine = wired("postgres")
    url = managed.server.url("postgres") if role == "postgres" else managed.server.url("postgres", role, role)
    machine.secrets.secrets["holdfast/target/other"] = url

    ended = machine.run(managed.name(), target_secret="other")

    assert machine.world.manifest(machine.world.plan(ended.assessed.restore_id)).contents[-2].plain > 8_000_000
    assert ended.proof.differences == ()


def test_a_table_that_shrinks_while_it_is_read_back_is_proven(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("PROVE_PART", "LEAST_BATCH", "MOST_BATCH"):
        monkeypatch.setattr(f"holdfast.usecases.restore.batching.{limit}", 200_000)
    rows = "SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n"
    source = databases.create(f"CREATE TABLE t (a int, b text); INSERT INTO t {rows}")
    archiver.chunk_bytes = 500_000
    archiver.take(databases.parameters(source))
    machine, into = wired(source), databases.name()

    def leave_dead_rows() -> None:
        databases.run(into, "ALTER TABLE t SET (autovacuum_enabled = false)")
        databases.run(into, f"INSERT INTO t {rows.replace('SELECT n', 'SELECT 0')}")
        databases.run(into, "DELETE FROM t WHERE a = 0")
        databases.run(into, "ALTER TABLE t RESET (autovacuum_enabled)")

    batches: list[int] = []

    def vacuum_at_the_third(request: BatchRequest, world: World) -> Done:
        batches.append(request.batch)
        if len(batches) == 3:
            databases.run(into, "VACUUM t")
        return prove(request, world)

    machine.between["finished"] = leave_dead_rows
    monkeypatch.setattr("restore.running.prove", vacuum_at_the_third)

    ended = machine.run(into)

    assert len(batches) > 5
    assert ended.proof.differences == ()
