"""What counts as equal: across major versions, as a role that is no superuser, and what a report may call identical."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from holdfast.contracts.restoring import Comparison
from holdfast_local.postgres import EmbeddedPostgres
from restore.archiving import Archiver
from restore.conftest import SHOP, Databases
from restore.running import Ended, Machine

OLD = """
CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0));
CREATE TABLE u (a int PRIMARY KEY, c text);
INSERT INTO t VALUES (1, 1);
CREATE VIEW v AS SELECT t.a, u.c FROM t JOIN u ON u.a = t.a;
CREATE VIEW barred WITH (security_barrier) AS SELECT a FROM t WHERE a > 1 WITH LOCAL CHECK OPTION;
CREATE VIEW grouped AS SELECT t.a, t.b FROM t JOIN u ON u.a = t.a GROUP BY t.a;
CREATE MATERIALIZED VIEW m AS SELECT t.a FROM t, u WHERE t.a = u.a;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE FUNCTION g() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t JOIN u ON u.a = t.a; END;
CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE RULE r AS ON DELETE TO u DO ALSO DELETE FROM t WHERE t.a = OLD.a;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON t TO PUBLIC;
COMMENT ON TABLE t IS 'things';
"""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(15, tmp_path_factory.mktemp("pg15")) as server:
        yield Databases(server)


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return a server on which we are no superuser."""
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("managed")) as server:
        databases = Databases(server)
        databases.run("postgres", "CREATE ROLE admin LOGIN PASSWORD 'admin' CREATEDB CREATEROLE")
        databases.run("postgres", "CREATE ROLE plain LOGIN PASSWORD 'plain' CREATEDB")
        for role in ("app", "appy"):
            databases.run("postgres", f"CREATE ROLE {role}")
        yield databases


def notes(machine: Machine, ended: Ended) -> tuple[str, ...]:
    body = machine.scratch.read(f"restore/{ended.assessed.restore_id}/comparison.json")
    assert body is not None
    return Comparison.model_validate_json(body).notes


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param("ALTER TABLE t DROP CONSTRAINT t_b_check", "table public.t is defined differently", id="check"),
        pytest.param("ALTER TABLE t ALTER b SET DEFAULT 5", "table public.t is defined differently", id="default"),
        pytest.param("ALTER TABLE t DISABLE TRIGGER x", "trigger public.t x is defined differently", id="trigger off"),
        pytest.param(
            "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$",
            "function public.f() is defined differently",
            id="function",
        ),
        pytest.param("CREATE OR REPLACE VIEW v AS SELECT t.a + 1 AS a, c FROM t JOIN u ON u.a = t.a", "v", id="view"),
        pytest.param(
            "CREATE OR REPLACE VIEW grouped AS SELECT t.a, t.b FROM t JOIN u ON u.a <> t.a GROUP BY t.a",
            "rule public.grouped _RETURN is defined differently",
            id="view that needs a key",
        ),
        pytest.param("ALTER VIEW barred RESET (security_barrier)", "view public.barred", id="option of a view"),
        pytest.param("GRANT ALL ON t TO PUBLIC", "acl public.TABLE t is defined differently", id="grant"),
        pytest.param("ALTER TABLE t OWNER TO evil", "table public.t is defined differently", id="owner"),
        pytest.param("COMMENT ON TABLE t IS 'other'", "comment public.TABLE t is defined differently", id="comment"),
        pytest.param("CREATE TABLE more (a int)", "table public.more is not in the archive", id="table too many"),
    ],
)
def test_across_major_versions_a_difference_is_found(
    old: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine], *, change: str, named: str
) -> None:
    databases.run("postgres", "DO $$ BEGIN CREATE ROLE evil; EXCEPTION WHEN OTHERS THEN END $$")
    archiver.take(old.parameters(old.create(OLD)))
    machine, into = wired("postgres"), databases.name()
    machine.between["finished"] = lambda: databases.run(into, change)

    ended = machine.run(into, target_secret="other")

    assert not ended.proof.proven
    assert any(named in sentence for sentence in ended.proof.differences), ended.proof.differences


@pytest.mark.parametrize("script", [pytest.param(OLD, id="queries"), pytest.param(SHOP, id="the shop")])
def test_across_major_versions_equal_definitions_are_no_differences(
    old: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine], script: str
) -> None:
    archiver.take(old.parameters(old.create(script)))
    machine = wired("postgres")

    ended = machine.run(databases.name(), target_secret="other")

    assert ended.proof.differences == ()
    assert not [note for note in notes(machine, ended) if "public.v " in note or "_RETURN" in note]


PUBLIC = """
GRANT ALL ON SCHEMA public TO app;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
COMMENT ON SCHEMA public IS 'ours';
CREATE TABLE t (a int);
"""
GRANTED = """
CREATE SCHEMA s;
GRANT USAGE ON SCHEMA s TO admin, plain;
CREATE TABLE s.t (a int, b text);
GRANT SELECT ON s.t TO admin, plain;
GRANT UPDATE (a, b) ON s.t TO app, admin, plain;
SELECT lo_create(5);
GRANT SELECT ON LARGE OBJECT 5 TO admin, plain;
"""
EXTENSION = """
CREATE EXTENSION pg_trgm;
REVOKE ALL ON FUNCTION show_trgm(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION show_trgm(text) TO app;
GRANT EXECUTE ON FUNCTION pg_ls_dir(text) TO app;
CREATE TABLE t (a int);
"""


@pytest.mark.parametrize("role", ["admin", "plain"])
@pytest.mark.parametrize(
    ("script", "noted"),
    [
        pytest.param(PUBLIC, (), id="grants on public"),
        pytest.param(GRANTED, (), id="grants to us"),
        pytest.param(
            "ALTER SCHEMA public OWNER TO appy; CREATE TABLE t (a int)", ("schema public",), id="public's owner"
        ),
        pytest.param(EXTENSION, ("show_trgm", "pg_ls_dir"), id="what is not ours to grant"),
    ],
)
def test_an_ordinary_role_proves_an_ordinary_database(
    managed: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine], *,
    role: str, script: str, noted: tuple[str, ...],
) -> None:  # fmt: skip
    for name in ("admin", "plain", "app", "appy"):
        databases.run("postgres", f"DO $$ BEGIN CREATE ROLE {name}; EXCEPTION WHEN OTHERS THEN END $$")
    archiver.take(databases.parameters(databases.create(script)))
    machine = wired("postgres")
    machine.secrets.secrets["holdfast/target/other"] = managed.server.url("postgres", role, role)

    ended = machine.run(managed.name(), target_secret="other")

    found = [note for note in notes(machine, ended) if "The database" not in note]
    assert ended.proof.differences == ()
    assert all(any(name in note for note in found) for name in noted), found
    assert noted or not found


def test_what_only_the_databases_owner_may_set_is_noted(
    managed: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    databases.run("postgres", "DO $$ BEGIN CREATE ROLE app; EXCEPTION WHEN OTHERS THEN END $$")
    archiver.take(databases.parameters(databases.create(PUBLIC)))
    machine, into = wired("postgres"), managed.create("GRANT CREATE ON SCHEMA public TO admin")
    managed.run("postgres", f"GRANT CREATE ON DATABASE {into} TO admin")
    machine.secrets.secrets["holdfast/target/other"] = managed.server.url("postgres", "admin", "admin")

    ended = machine.run(into, target_secret="other")

    assert ended.proof.differences == ()
    assert sum("SCHEMA public" in note for note in notes(machine, ended)) == 2


def test_a_schema_of_another_owner_keeps_his_right_to_create(
    managed: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    databases.run("postgres", "DO $$ BEGIN CREATE ROLE schema_owner; EXCEPTION WHEN OTHERS THEN END $$")
    script = "CREATE SCHEMA s AUTHORIZATION schema_owner; SET ROLE schema_owner; CREATE TABLE s.t (a int); RESET ROLE"
    archiver.take(databases.parameters(databases.create(script)))
    machine, into = wired("postgres"), managed.name()
    machine.secrets.secrets["holdfast/target/other"] = managed.server.url("postgres", "admin", "admin")

    ended = machine.run(into, target_secret="other")

    assert ended.proof.differences == ()
    assert managed.run(into, "SELECT has_schema_privilege('schema_owner', 's', 'CREATE')") == [(True,)]


@pytest.mark.parametrize("server", ["old", "new"])
def test_an_event_trigger_that_forbids_everything_does_not_stop_a_proven_restore(
    old: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine], server: str
) -> None:
    there = old if server == "old" else databases
    source = there.create(
        "CREATE TABLE t (a int);"
        "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
        "CREATE EVENT TRIGGER w ON sql_drop EXECUTE FUNCTION e(); ALTER EVENT TRIGGER w ENABLE ALWAYS"
    )
    archiver.take(there.parameters(source))
    machine = wired("postgres")
    machine.secrets.secrets["holdfast/target/other"] = there.server.url("postgres")

    ended = machine.run(there.name(), target_secret="other")

    assert ended.proof.proven
    assert any("holdfast_restore could not be dropped" in note for note in notes(machine, ended)) == (server == "old")


def test_views_that_are_computed_anew_are_not_called_identical(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    source = databases.create("CREATE MATERIALIZED VIEW m AS SELECT random() AS n")
    archiver.take(databases.parameters(source))
    machine = wired(source)

    ended = machine.run(databases.name())

    assert ended.proof.proven
    assert "identical" not in ended.report.sentence
    assert ended.report.sentence.endswith("; 1 note.")
    assert any("not compared" in note and "public.m" in note for note in notes(machine, ended))


def test_a_database_that_sorts_otherwise_is_noted(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    source, into = databases.create("CREATE TABLE t (a text)"), databases.name()
    archiver.take(databases.parameters(source))
    machine = wired(source)
    options = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'UTF8'"
    databases.run("postgres", f"CREATE DATABASE {into} TEMPLATE template0 {options}")

    ended = machine.run(into)

    assert any("sorts by c.utf8 (builtin" in note for note in notes(machine, ended)), notes(machine, ended)


def test_another_owner_of_the_database_is_a_difference(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    databases.run("postgres", "DO $$ BEGIN CREATE ROLE evil; EXCEPTION WHEN OTHERS THEN END $$")
    source, into = databases.create("CREATE TABLE t (a text)"), databases.name()
    archiver.take(databases.parameters(source))
    machine = wired(source)
    machine.between["finished"] = lambda: databases.run("postgres", f"ALTER DATABASE {into} OWNER TO evil")

    ended = machine.run(into)

    assert ended.proof.differences == ("The database belongs to evil; in the source to postgres.",)
