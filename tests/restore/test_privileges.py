"""Restores as a role that is no superuser: what is refused before anything is touched, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from holdfast.adapters.postgres.connect import ConnectionParameters, connect
from holdfast.contracts.restoring import Comparison
from holdfast.errors import TargetIncompatible
from holdfast_local.postgres import EmbeddedPostgres
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Ended, Machine

Managed = Callable[..., Machine]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Return a server on which we are administrators, but no superusers."""
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("provider")) as server:
        databases = Databases(server)
        databases.run("postgres", "CREATE ROLE admin LOGIN PASSWORD 'admin' CREATEDB CREATEROLE")
        databases.run("postgres", "CREATE ROLE rds_superuser")
        databases.run("postgres", "CREATE ROLE lent LOGIN PASSWORD 'lent' CREATEDB CREATEROLE IN ROLE rds_superuser")
        databases.run("postgres", "CREATE ROLE seeing LOGIN PASSWORD 'seeing' CREATEDB CREATEROLE BYPASSRLS")
        yield databases


@pytest.fixture
def managed(provider: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine]) -> Managed:
    """Return a function that archives a script's database, and returns a machine that restores it as *role*."""

    def make(script: str, role: str = "admin") -> Machine:
        archiver.take(databases.parameters(databases.create(script)))
        machine = wired("postgres")
        machine.secrets.secrets["holdfast/target/other"] = provider.server.url("postgres", role, role)
        return machine

    return make


def parameters_of(provider: Databases, role: str) -> ConnectionParameters:
    return ConnectionParameters.from_secret(provider.server.url("postgres", role, role))


def comparison_of(machine: Machine, ended: Ended) -> Comparison:
    body = machine.scratch.read(f"restore/{ended.assessed.restore_id}/comparison.json")
    assert body is not None
    return Comparison.model_validate_json(body)


FORCED = "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY"


@pytest.mark.parametrize(
    ("script", "said", "remedy"),
    [
        pytest.param("CREATE EXTENSION pageinspect", "create the extension pageinspect", "superuser", id="extension"),
        pytest.param(
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE internal AS 'int4abs'",
            "define function public.f(integer)",
            "superuser",
            id="internal function",
        ),
        pytest.param(
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'",
            "define function public.f(integer)",
            "superuser",
            id="leakproof function",
        ),
        pytest.param(
            "CREATE OPERATOR CLASS o FOR TYPE int4 USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
            "operator class public.o",
            "superuser",
            id="operator class",
        ),
        pytest.param("CREATE CAST (date AS int4) WITHOUT FUNCTION", "cast", "superuser", id="binary cast"),
        pytest.param("CREATE FOREIGN DATA WRAPPER w", "foreign data wrapper w", "superuser", id="wrapper"),
        pytest.param(FORCED, "table public.t", 'ALTER ROLE "admin" BYPASSRLS', id="forced row security"),
    ],
)
def test_what_only_a_superuser_may_do_is_refused_before_anything_is_touched(
    managed: Managed, provider: Databases, script: str, said: str, remedy: str
) -> None:
    machine, into = managed(script), provider.name()

    error = machine.fails(into, target_secret="other")

    assert isinstance(error, TargetIncompatible)
    assert said in error.message
    assert remedy in error.hint
    assert not provider.exists(into)


def test_a_body_that_speaks_of_other_languages_is_no_obstacle(managed: Managed, provider: Databases) -> None:
    script = "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '\n    LANGUAGE c LEAKPROOF' $$"

    assert managed(script).assess(provider.name(), target_secret="other")


def test_a_limit_on_connections_that_leaves_room_for_no_worker_is_refused_with_the_remedy(
    managed: Managed, provider: Databases
) -> None:
    provider.run("postgres", "CREATE ROLE few LOGIN PASSWORD 'few' CREATEDB CREATEROLE CONNECTION LIMIT 2")
    machine, into = managed("CREATE TABLE t (a int)", "few"), provider.name()

    error = machine.fails(into, target_secret="other")

    assert isinstance(error, TargetIncompatible)
    assert 'ALTER ROLE "few" CONNECTION LIMIT -1;' in error.hint
    assert not provider.exists(into)


def test_forced_row_security_is_no_obstacle_for_who_bypasses_it(managed: Managed, provider: Databases) -> None:
    ended = managed(FORCED, "seeing").run(provider.name(), target_secret="other")

    assert ended.proof.differences == ()


def test_an_extension_that_a_provider_may_lend_is_tried_and_the_plan_says_so(
    managed: Managed, provider: Databases
) -> None:
    machine = managed("CREATE EXTENSION pageinspect", "lent")

    assessed = machine.assess(provider.name(), target_secret="other")

    warnings = machine.world.plan(assessed.restore_id).warnings
    assert any("The extension pageinspect is a superuser's" in warning for warning in warnings)


def test_roles_that_are_created_are_told_with_what_they_lack(
    provider: Databases, databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    databases.run("postgres", "CREATE ROLE reader; CREATE ROLE bob LOGIN; GRANT reader TO bob")
    archiver.take(databases.parameters(databases.create("CREATE TABLE t (a int); GRANT SELECT ON t TO reader, bob")))
    machine = wired("postgres")
    machine.secrets.secrets["holdfast/target/other"] = provider.server.url("postgres")

    ended = machine.run(provider.name(), target_secret="other")

    told = " ".join(ended.report.notes)
    assert ended.proof.proven
    assert "The roles bob, reader do not exist on the target" in told
    assert "are created without passwords" in told
    assert "The roles bob log in as soon as somebody gives them a password" in told
    assert ended.report.notes_in_all == len(ended.report.notes)


def test_memberships_that_stay_are_told_with_how_to_end_them(
    managed: Managed, provider: Databases, databases: Databases
) -> None:
    databases.run("postgres", "CREATE ROLE bookkeeper")
    machine = managed("CREATE TABLE t (a int); ALTER TABLE t OWNER TO bookkeeper")

    ended = machine.run(provider.name(), target_secret="other")

    revoke = next(note for note in ended.report.notes if "REVOKE" in note).rpartition(": ")[2]
    assert revoke == 'REVOKE "bookkeeper" FROM "admin";'
    with connect(parameters_of(provider, "admin"), application_name="test") as connection:
        connection.execute(revoke)


def test_what_is_left_out_is_told(databases: Databases, archiver: Archiver, wired: Callable[..., Machine]) -> None:
    source = databases.create("CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION y WITH (connect=false)")
    archiver.take(databases.parameters(source))

    ended = wired(source).run(databases.name())

    assert any(note.startswith("Left out: subscription s.") for note in ended.report.notes)
    databases.run(source, "ALTER SUBSCRIPTION s SET (slot_name = NONE)")
    databases.run(source, "DROP SUBSCRIPTION s")


REFUSED = """
CREATE TABLE t (a int);
CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION e();
ALTER EVENT TRIGGER watch ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER watch IS 'watches';
CREATE PUBLICATION everything FOR ALL TABLES;
COMMENT ON PUBLICATION everything IS 'everything';
"""


def test_comments_on_what_a_role_may_not_create_do_not_end_the_restore(managed: Managed, provider: Databases) -> None:
    ended = managed(REFUSED).run(provider.name(), target_secret="other")

    assert ended.proof.differences == ()
    assert any("watch is missing" in note for note in ended.report.notes)


def test_what_came_into_the_target_beside_the_restore_is_told(managed: Managed, provider: Databases) -> None:
    machine, into = managed("CREATE TABLE t (a int)"), provider.name()
    machine.between["finished"] = lambda: provider.run(into, "CREATE PUBLICATION sneaked FOR ALL TABLES")

    ended = machine.run(into, target_secret="other")

    assert any("The publication sneaked is not in the archive." in note for note in ended.report.notes)


def test_a_limit_of_connections_does_not_shut_the_restore_out(managed: Managed, provider: Databases) -> None:
    limited = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 0', current_database()); END $$"
    into = provider.name()

    ended = managed(f"CREATE TABLE t (a int); {limited}").run(into, target_secret="other")

    assert ended.proof.differences == ()
    assert any(f'ALTER DATABASE "{into}" CONNECTION LIMIT = 0;' in note for note in ended.report.notes)
