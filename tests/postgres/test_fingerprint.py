"""Which changes a schema's fingerprint tells, and which it must not tell."""

from __future__ import annotations

import tempfile

import pytest

from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.fingerprint import fingerprint, same_structure
from holdfast.adapters.postgres.programs import run
from snapshot.servers import SHOP, Databases


@pytest.fixture
def parameters(databases: Databases) -> ConnectionParameters:
    return databases.create(SHOP)


def taken(databases: Databases, parameters: ConnectionParameters) -> str:
    with databases.connect(parameters) as session:
        return fingerprint(session)


STRUCTURAL = [
    "ALTER TYPE app.mood RENAME VALUE 'ok' TO 'fine'",
    "ALTER TYPE app.mood ADD VALUE 'glad' BEFORE 'ok'",
    "ALTER TABLE app.users ADD more int",
    "ALTER TABLE app.users DROP doc",
    "ALTER TABLE app.users RENAME doc TO document",
    "ALTER TABLE app.users ALTER mood SET DEFAULT 'ok'",
    "ALTER TABLE app.users ALTER mood SET NOT NULL",
    "ALTER TABLE app.orders ALTER total TYPE numeric(12, 2)",
    "ALTER TABLE app.orders ADD CHECK (total < 1000000)",
    "ALTER TABLE app.orders DROP CONSTRAINT orders_user_id_fkey",
    "ALTER TABLE app.orders DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE public.hashed DETACH PARTITION public.hashed_0",
    "ALTER TABLE app.users RENAME TO people",
    "ALTER TABLE app.users SET (fillfactor = 50)",
    "ALTER TABLE public.fleeting SET LOGGED",
    "CREATE INDEX ON app.orders (at)",
    "DROP INDEX app.users_email_trgm",
    "CREATE OR REPLACE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE OR REPLACE VIEW app.per_user AS SELECT u.id, u.email, 0::bigint AS count FROM app.users u",
    "ALTER TABLE app.users DISABLE TRIGGER touched",
    "DROP TRIGGER touched ON app.users",
    "ALTER POLICY mine ON app.orders USING (user_id > 1)",
    "ALTER SEQUENCE app.unused INCREMENT 2",
    "CREATE SCHEMA more",
    "CREATE TABLE more ()",
    "CREATE DOMAIN more AS int CHECK (VALUE > 0)",
    "ALTER DOMAIN app.email DROP CONSTRAINT email_check",
    "COMMENT ON TABLE app.users IS 'other people'",
    "ALTER PUBLICATION news ADD TABLE app.orders",
    "DROP STATISTICS app.mood_tags",
    "ALTER EVENT TRIGGER watch DISABLE",
    "CREATE CAST (app.mood AS int) WITH INOUT",
    "DROP MATERIALIZED VIEW app.never",
    "DROP RULE quiet ON app.refs",
]


@pytest.mark.parametrize("statement", STRUCTURAL)
def test_a_change_of_structure_is_told(databases: Databases, parameters: ConnectionParameters, statement: str) -> None:
    before = taken(databases, parameters)
    with databases.connect(parameters) as session:
        session.execute(statement.encode())

    after = taken(databases, parameters)

    assert not same_structure(before, after)


DETAILED = [
    "ALTER SERVER there OPTIONS (ADD host 'elsewhere')",
    "CREATE OR REPLACE AGGREGATE public.added(int) (SFUNC = int4pl, STYPE = int, INITCOND = '1')",
    "ALTER PUBLICATION pages SET TABLE app.users WHERE (id > 2)",
    "ALTER PUBLICATION pages ADD TABLES IN SCHEMA app",
    "ALTER TEXT SEARCH CONFIGURATION public.words ALTER MAPPING FOR asciiword WITH english_stem",
    "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = %L', current_database(), '7MB'); END$$",
    "ALTER USER MAPPING FOR CURRENT_USER SERVER there OPTIONS (ADD password 'other')",
    "ALTER TABLE app.users ALTER email SET STATISTICS 77",
    "ALTER TABLE app.users ALTER email SET STORAGE EXTERNAL",
    "ALTER TABLE app.users ALTER email SET COMPRESSION pglz",
    "ALTER FOREIGN TABLE public.away OPTIONS (ADD table_name 'other')",
    "ALTER FOREIGN TABLE public.away ALTER x OPTIONS (ADD column_name 'other')",
]
DETAILS = """
    CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER there FOREIGN DATA WRAPPER nothing;
    CREATE USER MAPPING FOR CURRENT_USER SERVER there OPTIONS (user 'me');
    CREATE FOREIGN TABLE public.away (x int) SERVER there;
    CREATE AGGREGATE public.added(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
    CREATE PUBLICATION pages FOR TABLE app.users WHERE (id > 1);
    CREATE TEXT SEARCH CONFIGURATION public.words (COPY = pg_catalog.simple);
"""


@pytest.mark.parametrize("statement", DETAILED)
def test_a_change_of_a_detail_is_told(databases: Databases, statement: str) -> None:
    parameters = databases.create(SHOP, DETAILS)
    before = taken(databases, parameters)
    with databases.connect(parameters) as session:
        session.execute(statement.encode())

    assert taken(databases, parameters) != before


@pytest.mark.parametrize(
    "statement",
    [
        'GRANT INSERT ON app.users TO shop_owner, "shop reader"',
        'REVOKE USAGE ON SCHEMA app FROM "shop reader"',
        "ALTER TABLE app.orders OWNER TO shop_owner",
        "ALTER FUNCTION app.touch() OWNER TO shop_owner",
        'ALTER DEFAULT PRIVILEGES IN SCHEMA app REVOKE SELECT ON TABLES FROM "shop reader"',
        'REVOKE SELECT (email) ON app.users FROM "shop reader"',
        "DROP EXTENSION pg_trgm CASCADE; CREATE EXTENSION pg_trgm SCHEMA app;"
        " CREATE INDEX users_email_trgm ON app.users USING gin (email app.gin_trgm_ops)",
    ],
)
def test_a_change_of_privileges_or_extensions_is_told(
    databases: Databases, parameters: ConnectionParameters, statement: str
) -> None:
    before = taken(databases, parameters)
    with databases.connect(parameters) as session:
        session.execute(statement.encode())

    assert taken(databases, parameters) != before


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO app.orders (user_id, total) VALUES (1, 2)",
        "DELETE FROM app.refs",
        "SELECT nextval('app.unused')",
        "ANALYZE",
        "VACUUM",
        "REINDEX TABLE app.users",
        "REFRESH MATERIALIZED VIEW app.moods",
        "CREATE TEMPORARY TABLE scratch (id int PRIMARY KEY, mood app.mood)",
        "SELECT lo_create(0)",
        "GRANT SELECT ON public.empty TO CURRENT_USER",
        "CREATE SCHEMA holdfast_restore",
    ],
)
def test_what_is_no_change_of_the_schema_is_not_told(
    databases: Databases, parameters: ConnectionParameters, statement: str
) -> None:
    before = taken(databases, parameters)
    with databases.connect(parameters) as session:
        session.execute(statement.encode())

        assert fingerprint(session) == before
    assert taken(databases, parameters) == before


def test_a_dump_that_is_restored_elsewhere_has_the_same_fingerprint(
    databases: Databases, parameters: ConnectionParameters
) -> None:
    restored = databases.create()
    dump = run("pg_dump", ["--format=custom"], parameters)
    with tempfile.NamedTemporaryFile() as file:
        file.write(dump)
        file.flush()
        run("pg_restore", ["--exit-on-error", f"--dbname={restored.dbname}", file.name], restored)

    # The last part has the database's own settings, which a dump leaves out.
    assert taken(databases, restored).split(":")[:4] == taken(databases, parameters).split(":")[:4]
