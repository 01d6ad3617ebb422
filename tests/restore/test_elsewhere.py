"""Restores to another server: of a newer version, and as a role that is no superuser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from holdfast.adapters.postgres.connect import ConnectionParameters, connect
from holdfast.adapters.postgres.marks import create_marks
from holdfast.adapters.postgres.progress import at_work
from holdfast.adapters.postgres.sending import RestoreSession
from holdfast.contracts.restoring import Comparison
from holdfast.errors import StillWorking
from holdfast_local.postgres import EmbeddedPostgres, Server
from restore.archiving import Archiver
from restore.conftest import SHOP, Databases
from restore.running import Ended, Machine


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with EmbeddedPostgres(15, tmp_path_factory.mktemp("pg15")) as server:
        yield server


def test_a_database_of_an_older_version_is_restored_to_a_newer_one_and_proven(
    old: Server, databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    with connect(ConnectionParameters.from_secret(old.url()), application_name="test") as connection:
        connection.execute(SHOP)
    archiver.take(ConnectionParameters.from_secret(old.url()))
    machine, into = wired("postgres"), databases.name()

    ended = machine.run(into, target_secret="other")

    assert ended.proof.differences == ()
    assert ended.proof.proven
    assert machine.world.plan(ended.assessed.restore_id).warnings != ()


def test_an_old_server_is_restored_to_itself(old: Server, archiver: Archiver, wired: Callable[..., Machine]) -> None:
    parameters = ConnectionParameters.from_secret(old.url())
    with connect(parameters, application_name="test") as connection:
        connection.execute("CREATE DATABASE small")
    with connect(parameters.with_database("small"), application_name="test") as connection:
        connection.execute(
            "CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT n, n FROM generate_series(1, 9) n"
        )
    archiver.take(parameters.with_database("small"))
    machine = wired("postgres")
    machine.secrets.secrets["holdfast/shop"] = old.url("small")

    ended = machine.run("small_again")

    assert ended.proof.differences == ()


def test_a_database_in_another_encoding_is_restored_with_its_names_and_rows(
    old: Server, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    parameters = ConnectionParameters.from_secret(old.url())
    with connect(parameters, application_name="test") as connection:
        connection.execute("CREATE DATABASE western TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with connect(parameters.with_database("western"), application_name="test") as connection:
        connection.execute("CREATE TABLE café (prénom text PRIMARY KEY); INSERT INTO café VALUES ('René')".encode())
    archiver.take(parameters.with_database("western"))
    machine = wired("postgres")
    machine.secrets.secrets["holdfast/shop"] = old.url("western")

    ended = machine.run("western_again")

    assert ended.proof.differences == ()
    with connect(parameters.with_database("western_again"), application_name="test") as connection:
        assert connection.execute("SELECT prénom FROM café".encode()).fetchall() == [("René",)]


def comparison_of(machine: Machine, ended: Ended) -> Comparison:
    body = machine.scratch.read(f"restore/{ended.assessed.restore_id}/comparison.json")
    assert body is not None
    return Comparison.model_validate_json(body)


OWNED = """
CREATE TABLE public.t (a int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b text);
INSERT INTO public.t (b) SELECT 'row ' || n FROM generate_series(1, 100) n;
ALTER TABLE public.t OWNER TO keeper;
CREATE EXTENSION pg_trgm;
CREATE INDEX t_b ON public.t USING gin (b gin_trgm_ops);
CREATE MATERIALIZED VIEW public.m AS SELECT count(*) FROM public.t;
ALTER MATERIALIZED VIEW public.m OWNER TO keeper;
GRANT SELECT ON public.t TO looker WITH GRANT OPTION;
SET ROLE looker;
GRANT SELECT ON public.t TO "other looker";
RESET ROLE;
CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION public.e();
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION something FOR TABLE public.t;
ALTER DEFAULT PRIVILEGES FOR ROLE cloud_admin GRANT SELECT ON TABLES TO looker;
SELECT lo_from_bytea(99, decode(repeat('ab', 5000), 'hex'));
ALTER LARGE OBJECT 99 OWNER TO keeper;
"""


@pytest.fixture
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return a server like a provider's, new: we are an administrator there, but no superuser."""
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("managed")) as server:
        databases = Databases(server)
        databases.run("postgres", "CREATE ROLE admin LOGIN PASSWORD 'admin' CREATEDB CREATEROLE")
        databases.run("postgres", "CREATE ROLE cloud_admin SUPERUSER")
        yield databases


def test_an_administrator_sees_what_his_own_sessions_are_at(managed: Databases) -> None:
    name = managed.name()
    managed.run("postgres", f"CREATE DATABASE {name} OWNER admin")
    parameters = ConnectionParameters.from_secret(managed.server.url(name, "admin", "admin"))
    with connect(parameters, application_name="test") as looking:
        create_marks(looking, "run")
        looking.execute(SLOWLY)
        working = RestoreSession(parameters, encoding="UTF8", doing="test")
        index = b"CREATE INDEX ON public.slowly (public.slowly(a))"
        with working, pytest.raises(StillWorking):
            working.run_once("m", index, wait=lambda ended: str(ended(0.5)), what="it", lasting=True)

        sight = at_work(looking, ["m"])

    assert sight is not None
    assert sight.percent is not None
    assert re.fullmatch(r"it: building index: scanning table, \d+ %, for \d s", sight.sentence("it"))


SLOWLY = """
    CREATE SCHEMA IF NOT EXISTS public;
    CREATE FUNCTION public.slowly(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN PERFORM pg_catalog.pg_sleep(0.02); RETURN n; END$$;
    CREATE TABLE public.slowly (a int);
    INSERT INTO public.slowly SELECT generate_series(1, 100);
"""


@pytest.mark.usefixtures("any_size")
def test_an_administrator_who_is_no_superuser_restores_everything_but_the_providers_own(
    managed: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    for role in ("keeper", "looker", "other looker", "cloud_admin"):
        databases.run("postgres", f'DO $$ BEGIN CREATE ROLE "{role}"; EXCEPTION WHEN OTHERS THEN END $$')
    archiver.take(databases.parameters(databases.create(OWNED)))
    machine, into = wired("postgres"), managed.name()
    machine.secrets.secrets["holdfast/target/other"] = managed.server.url("postgres", "admin", "admin")

    # The same server has them when this ran before with tables of another size.
    there = {name for (name,) in managed.run("postgres", "SELECT rolname FROM pg_roles")}

    ended = machine.run(into, target_secret="other")

    plan = machine.world.plan(ended.assessed.restore_id)
    assert ended.proof.differences == ()
    assert plan.roles_missing == tuple(name for name in ("keeper", "looker", "other looker") if name not in there)
    assert comparison_of(machine, ended).notes == (
        "The event trigger watch is missing.",
        "The publication everything is missing.",
        "The database belongs to admin; in the source to postgres.",
        "Computed anew, and not compared, are the rows of materialised views: public.m.",
    )
    assert "proven:" in ended.report.sentence
    assert ended.report.sentence.endswith(f"; {ended.report.notes_in_all} notes.")
    assert any("cloud_admin" in left.reason for left in plan.left_out)
    assert any("belongs to cloud_admin, postgres will belong to admin" in warning for warning in plan.warnings)
    assert managed.run(into, "SELECT pubname FROM pg_publication") == [("something",)]
    assert managed.run(into, "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == [("keeper",)]
    assert managed.run("postgres", "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'keeper'") == [(False,)]
