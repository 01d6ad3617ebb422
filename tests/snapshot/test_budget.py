"""That a backup counts the server's connections and locks before it takes any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from holdfast.errors import DatabaseBusy, SourceRefused
from holdfast_local.postgres import EmbeddedPostgres
from snapshot.rig import Rig
from snapshot.servers import Databases

TABLES = "DO $$ BEGIN FOR n IN {}..{} LOOP EXECUTE format('CREATE TABLE t%s ()', n); END LOOP; END $$"


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return a server with room for 16 connections, 3 of them for superusers, 270 locks."""
    settings = {"max_connections": 18, "reserved_connections": 2, "max_locks_per_transaction": 15}
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("cramped"), settings=settings) as server:
        yield Databases(server)


@pytest.fixture
def tight(cramped: Databases) -> Rig:
    return Rig(cramped.create("CREATE TABLE a AS SELECT 1 AS n"), concurrency=None)


def test_the_number_of_workers_is_measured_at_the_start_and_kept_with_the_point(tight: Rig) -> None:
    started = tight.start()

    point = tight.points.get(started.point_id)
    assert started.concurrency == point.workers == 2
    assert "The server allows 13" in point.workers_why


def test_connections_that_others_have_now_count(tight: Rig, cramped: Databases) -> None:
    with ExitStack() as others:
        for _ in range(8):
            others.enter_context(cramped.connect(tight.parameters))

        with pytest.raises(DatabaseBusy, match="13 connections, of which 8 are in use"):
            tight.start()

    assert not tight.points.locks


def test_connections_of_others_count_for_a_role_that_sees_little_of_them(tight: Rig, cramped: Databases) -> None:
    role = cramped.role()
    with cramped.connect(tight.parameters) as session, ExitStack() as others:
        session.execute(f"GRANT SELECT ON a TO {role}".encode())
        for _ in range(7):
            others.enter_context(cramped.connect(tight.parameters))
        tight.parameters = replace(tight.parameters, user=role, password="secret")

        with pytest.raises(DatabaseBusy, match="of which 8 are in use"):
            tight.start()


@pytest.mark.parametrize(
    ("limit", "remedy"),
    [
        ("ALTER ROLE {role} CONNECTION LIMIT 3", 'ALTER ROLE "{role}" CONNECTION LIMIT'),
        ('ALTER DATABASE "{database}" CONNECTION LIMIT 5', 'ALTER DATABASE "{database}" CONNECTION LIMIT'),
    ],
    ids=["of the role", "of the database"],
)
def test_a_limit_that_is_too_low_for_ever_is_refused_with_what_to_run(
    tight: Rig, cramped: Databases, limit: str, remedy: str
) -> None:
    names = {"role": cramped.role("IN ROLE pg_read_all_data"), "database": tight.parameters.dbname}
    with cramped.connect(tight.parameters) as session:
        session.execute(limit.format(**names).encode())
    tight.parameters = replace(tight.parameters, user=names["role"], password="secret")

    with pytest.raises(SourceRefused) as refused:
        tight.start()

    assert remedy.format(**names) in refused.value.hint


def test_a_number_in_the_configuration_is_obeyed_and_told(tight: Rig) -> None:
    tight.concurrency = 9

    point = tight.points.get(tight.start().point_id)

    assert point.workers == 9
    assert "concurrency = 9 leaves others" in point.workers_why


def test_a_number_in_the_configuration_that_never_fits_is_refused(tight: Rig) -> None:
    tight.concurrency = 11

    with pytest.raises(SourceRefused, match="set concurrency to at most 10"):
        tight.start()


def test_a_lock_table_that_fills_up_after_the_start_is_named_and_nothing_stays_behind(
    tight: Rig, cramped: Databases
) -> None:
    started = tight.start()
    with cramped.connect(tight.parameters) as session:
        for first in range(0, 3_000, 50):
            session.execute(TABLES.format(first, first + 49).encode())

    with pytest.raises(DatabaseBusy, match="max_locks_per_transaction"):
        tight.hold(started.point_id)

    with cramped.connect(cramped.parameters("postgres")) as session:
        assert session.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid <> pg_backend_pid()"
        ).fetchone() == (0,)


def test_more_tables_than_the_lock_table_has_room_for_are_refused_with_the_value_to_set(
    tight: Rig, cramped: Databases
) -> None:
    with cramped.connect(tight.parameters) as session:
        for first in range(0, 300, 50):
            session.execute(TABLES.format(first, first + 49).encode())

    with pytest.raises(SourceRefused, match=r"301 tables.*max_locks_per_transaction to at least \d\d ") as refused:
        tight.start()

    assert "(it is 15)" in refused.value.hint
    assert not tight.points.points
