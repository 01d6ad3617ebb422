"""The application's database, its writer and the witness, on real servers."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from holdfast_local.demo import seed, witness
from holdfast_local.demo.writer import Writing
from holdfast_local.postgres import EmbeddedPostgres, Server

KEY = bytes(range(32))


@pytest.fixture(scope="module", params=[18, 17, 15])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with EmbeddedPostgres(request.param, tmp_path_factory.mktemp("application") / "server") as started:
        seed.create(started, "shop", megabytes=1)
        yield started


def observed(server: Server, database: str = "shop") -> dict[str, witness.Testimony]:
    with witness.standing(server.url(database)) as connection:
        return witness.observe(connection, server, KEY)


def test_the_database_has_what_makes_backups_hard(server: Server) -> None:
    query = """
        SELECT count(*) FILTER (WHERE relkind = 'p'), count(*) FILTER (WHERE relkind = 'm'),
               (SELECT count(*) FROM pg_attribute WHERE attgenerated = 's'),
               (SELECT count(*) FROM pg_attribute WHERE attidentity <> ''),
               (SELECT count(*) FROM pg_constraint WHERE contype = 'f'),
               (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM _prisma_migrations)
        FROM pg_class WHERE relnamespace::regnamespace::text IN ('public', 'billing')"""

    with psycopg.connect(server.url("shop")) as connection:
        counts = connection.execute(query).fetchone()

    assert counts is not None
    assert all(counts)


def test_two_looks_at_one_moment_agree_whatever_is_written_meanwhile(server: Server) -> None:
    with witness.standing(server.url("shop")) as connection:
        before = witness.observe(connection, server, KEY)
        with Writing(server.url("shop")) as application:
            while application.transactions < 20:
                witness.observe(connection, server, KEY)
        after = witness.observe(connection, server, KEY)

    now = observed(server)
    assert before == after
    assert {name for name in now if now[name] != before[name]} >= {"public.orders", "public.audit_logs", "public.users"}


@pytest.mark.parametrize(
    ("change", "table"),
    [
        pytest.param("UPDATE teams SET slug = slug || 'x' WHERE id = 1", "public.teams", id="a value"),
        pytest.param("DELETE FROM attachments WHERE id = 1", "public.attachments", id="a row less"),
        pytest.param("INSERT INTO refunds (order_id, amount) VALUES (1, 1)", "public.refunds", id="a row more"),
        pytest.param(
            "SELECT lo_put(min(oid), 5, 'x') FROM pg_largeobject_metadata", witness.LARGE_OBJECTS, id="a byte"
        ),
    ],
)
def test_the_witness_sees_every_change_with_both_digests(server: Server, change: str, table: str) -> None:
    before = observed(server)[table]

    with psycopg.connect(server.url("shop"), autocommit=True) as connection:
        connection.execute(change.encode())

    after = observed(server)[table]
    assert after.digest != before.digest
    assert after.by_sql != before.by_sql


def test_a_database_that_is_dropped_is_gone(server: Server) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE doomed")

    seed.drop(server, "doomed")

    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT FROM pg_database WHERE datname = 'doomed'").fetchone() is None


def test_a_statement_that_fails_is_not_swallowed_by_the_writer(server: Server) -> None:
    application = Writing(server.url("postgres"))

    with pytest.raises(psycopg.Error):
        write_until_it_fails(application)


def write_until_it_fails(application: Writing) -> None:
    with application:
        application.wait()
