"""Roles come back with attributes, settings and memberships; those that a target has stay as they are, and are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast_local.postgres import EmbeddedPostgres
from roundtrip.servers import Place, RoundTrip, round_trip

ROLES = """
CREATE ROLE crew_owner NOLOGIN;
CREATE ROLE crew_reader NOLOGIN NOINHERIT CONNECTION LIMIT 5;
COMMENT ON ROLE crew_reader IS E'reads;\\nall';
CREATE ROLE "Crew ""App" LOGIN PASSWORD 'not for archives' CREATEDB VALID UNTIL '2039-01-01 00:00+00'
    IN ROLE crew_reader;
ALTER ROLE "Crew ""App" SET search_path = crew, "b c";
ALTER ROLE "Crew ""App" SET "crew.token" = E'it''s;\\na secret';
ALTER ROLE "Crew ""App" SET session_preload_libraries = '';
CREATE ROLE crew_lead LOGIN CREATEROLE REPLICATION BYPASSRLS;
CREATE ROLE crew_root SUPERUSER LOGIN;
GRANT crew_owner TO crew_lead WITH ADMIN OPTION;
GRANT pg_monitor TO crew_lead;
GRANT crew_reader TO crew_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
SET ROLE crew_lead;
GRANT crew_owner TO "Crew ""App" WITH INHERIT FALSE, SET TRUE;
RESET ROLE;
GRANT crew_owner TO crew_root;
CREATE ROLE unrelated LOGIN;
CREATE ROLE only_a_setting;
"""
TABLE = """
CREATE TABLE t (a int); ALTER TABLE t OWNER TO crew_owner; GRANT SELECT ON t TO crew_reader;
DO $$ BEGIN
    EXECUTE format('ALTER ROLE only_a_setting IN DATABASE %I SET work_mem = ''1MB''', current_database());
END $$;
"""
KNOWN = """
    SELECT rolname, rolcanlogin, rolinherit, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
           rolconnlimit, rolvaliduntil, rolconfig, shobj_description(oid, 'pg_authid')
    FROM pg_roles WHERE rolname ILIKE 'crew%' OR rolname = 'only_a_setting' ORDER BY 1
"""
MEMBERS = """
    SELECT g.rolname, u.rolname, b.rolname, admin_option, inherit_option, set_option
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = roleid JOIN pg_roles u ON u.oid = member
    JOIN pg_roles b ON b.oid = grantor WHERE u.rolname ILIKE 'crew%' ORDER BY 1, 2, 3
"""
RESERVED = """
CREATE ROLE rds_superuser; CREATE ROLE "rds_Odd" ; CREATE ROLE cloud_admin; CREATE ROLE of_reserved;
GRANT rds_superuser TO of_reserved;
CREATE DATABASE provided TEMPLATE template0;
GRANT CONNECT ON DATABASE provided TO rds_superuser;
ALTER ROLE cloud_admin IN DATABASE provided SET work_mem = '1MB';
ALTER DATABASE provided OWNER TO cloud_admin;
"""
PROVIDED = """
CREATE TABLE t (a int, b int); CREATE TABLE u (a int); INSERT INTO t VALUES (1, 2); INSERT INTO u VALUES (1);
ALTER TABLE u OWNER TO cloud_admin;
GRANT SELECT ON t TO rds_superuser, of_reserved, "rds_Odd";
GRANT SELECT (a) ON t TO "rds_Odd" WITH GRANT OPTION;
GRANT SELECT ON u TO rds_superuser;
GRANT INSERT ON u TO of_reserved;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY for_theirs ON t TO rds_superuser USING (true);
CREATE POLICY for_all ON t USING (true);
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO rds_superuser, of_reserved;
ALTER DEFAULT PRIVILEGES FOR ROLE cloud_admin GRANT SELECT ON TABLES TO of_reserved;
SELECT lo_from_bytea(5, 'x'), lo_from_bytea(6, 'y');
GRANT SELECT ON LARGE OBJECT 5 TO "rds_Odd", of_reserved;
ALTER LARGE OBJECT 6 OWNER TO cloud_admin;
GRANT SELECT ON LARGE OBJECT 6 TO of_reserved;
"""
EXISTING = """
CREATE ROLE "Crew ""App" CREATEROLE;
CREATE ROLE crew_owner;
ALTER ROLE crew_owner SET work_mem = '9MB';
"""


@pytest.fixture(scope="module")
def crew(source: Place) -> str:
    """Return the name of a database whose roles are many."""
    source.fill("postgres", ROLES)
    source.query("postgres", "CREATE DATABASE crew TEMPLATE template0")
    source.fill("crew", TABLE)
    return "crew"


@pytest.fixture(scope="module")
def provided(source: Place) -> str:
    """Return the name of a database in which a provider's own roles own and may do things."""
    source.fill("postgres", RESERVED)
    source.fill("provided", PROVIDED)
    return "provided"


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Return a server that has none of the roles, but an administrator who is no superuser."""
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("elsewhere")) as server:
        place = Place(server)
        place.query("postgres", "CREATE ROLE admin LOGIN PASSWORD 'admin' CREATEDB CREATEROLE")
        yield place


def notes(trip: RoundTrip) -> str:
    return "\n".join(trip.ended.report.notes)


def test_a_superuser_brings_back_all_but_passwords(source: Place, elsewhere: Place, crew: str) -> None:
    trip = round_trip(source, crew, elsewhere, "crew_again")

    passwords = "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL ORDER BY 1"
    assert trip.ended.proof.differences == ()
    assert elsewhere.query("postgres", KNOWN) == source.query("postgres", KNOWN)
    assert elsewhere.query("postgres", MEMBERS) == source.query("postgres", MEMBERS)
    assert elsewhere.query("postgres", passwords) == [("admin",), ("postgres",)]
    assert elsewhere.query("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'unrelated'") == []
    assert 'The roles Crew "App, crew_lead, crew_root log in as soon as somebody gives them a password' in notes(trip)
    assert "and not on the target" not in notes(trip)


def test_an_administrator_gives_what_he_may_and_the_report_lists_the_rest(
    source: Place, elsewhere: Place, crew: str
) -> None:
    trip = round_trip(source, crew, elsewhere, "crew_again", role="admin")

    said, lacks = notes(trip), "has in the source, and not on the target"
    assert trip.ended.proof.differences == ()
    assert f"The role crew_lead {lacks}: REPLICATION, BYPASSRLS, membership in pg_monitor." in said
    assert f"The role crew_root {lacks}: SUPERUSER." in said
    assert f'The role Crew "App {lacks}: the setting crew.token, the setting session_preload_libraries.' in said
    assert "a secret" not in said


def test_roles_that_exist_are_never_altered_and_their_differences_are_told(
    source: Place, elsewhere: Place, crew: str
) -> None:
    elsewhere.fill("postgres", EXISTING)
    query = "SELECT * FROM pg_roles WHERE rolname IN ('Crew \"App', 'crew_owner') ORDER BY rolname"
    before = elsewhere.query("postgres", query)

    trip = round_trip(source, crew, elsewhere, "crew_again")

    plan = trip.machine.world.plan(trip.ended.assessed.restore_id)
    told = next(warning for warning in plan.warnings if 'The role Crew "App has' in warning)
    assert elsewhere.query("postgres", query) == before
    assert len(before) == 2
    assert "LOGIN, CREATEDB, NOCREATEROLE" in told
    assert "the setting crew.token" in told
    assert "membership in crew_reader" in told
    assert "a secret" not in told
    assert "The role crew_owner has in the source, and not on the target: not the setting work_mem" in notes(trip)


@pytest.mark.parametrize(
    "role", [pytest.param(None, id="by a superuser"), pytest.param("admin", id="by an administrator")]
)
def test_a_providers_own_roles_are_never_created_and_what_names_them_is_listed(
    source: Place, elsewhere: Place, provided: str, role: str | None
) -> None:
    trip = round_trip(source, provided, elsewhere, "provided_again", role=role)

    plan = trip.machine.world.plan(trip.ended.assessed.restore_id)
    listed = {item.name for item in plan.left_out}
    restorer = role or "postgres"
    assert trip.ended.proof.differences == ()
    assert elsewhere.query("postgres", "SELECT 1 FROM pg_roles WHERE rolname ~ '^(rds_|cloud_)'") == []
    assert elsewhere.query("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'of_reserved'") == [(1,)]
    assert elsewhere.query(trip.into, "SELECT tableowner FROM pg_tables WHERE tablename = 'u'") == [(restorer,)]
    assert elsewhere.query(trip.into, "SELECT has_table_privilege('of_reserved', 't', 'SELECT')") == [(True,)]
    assert elsewhere.query(trip.into, "SELECT has_table_privilege('of_reserved', 'u', 'INSERT')") == [(True,)]
    assert elsewhere.query(trip.into, "SELECT polname FROM pg_policy") == [("for_all",)]
    assert {"acl public.TABLE t", "acl public.TABLE u", "policy public.t for_theirs"} <= listed
    assert any("cloud_admin, rds_Odd, rds_superuser are a provider's own" in warning for warning in plan.warnings)
