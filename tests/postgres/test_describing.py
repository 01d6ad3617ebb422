"""What is found in a database: tables, views, roles, sequences."""

from __future__ import annotations

import pytest

from holdfast.adapters.postgres import facts, relations
from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.schema_dump import dump_globals
from holdfast.adapters.postgres.sequences import sequences
from holdfast.adapters.postgres.snapshots import BEGIN
from snapshot.servers import Databases

# An extension with a configuration table, made of what every server has.
OWNED_BY_EXTENSION = """
    CREATE TABLE inside (a int); INSERT INTO inside VALUES (1);
    CREATE TABLE settings (name text, mine boolean); INSERT INTO settings VALUES ('a', true), ('b', false);
    INSERT INTO pg_depend SELECT 'pg_class'::regclass, c.oid, 0, 'pg_extension'::regclass, e.oid, 0, 'e'
      FROM pg_class c, pg_extension e WHERE c.relname IN ('inside', 'settings') AND e.extname = 'pg_trgm';
    UPDATE pg_extension SET extconfig = ARRAY['settings'::regclass::oid], extcondition = ARRAY['WHERE mine']
      WHERE extname = 'pg_trgm';
"""


def found(databases: Databases, parameters: ConnectionParameters) -> dict[str, relations.TableFacts]:
    with databases.connect(parameters) as session:
        return {table.relation.name.name: table for table in relations.tables(session)}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("CREATE TABLE a (x int)", {"a": ("x",)}, id="an ordinary table"),
        pytest.param("CREATE UNLOGGED TABLE a (x int)", {"a": ("x",)}, id="an unlogged table"),
        pytest.param("CREATE TABLE a ()", {"a": ()}, id="a table without columns"),
        pytest.param("CREATE VIEW a AS SELECT 1; CREATE MATERIALIZED VIEW b AS SELECT 1", {}, id="views"),
        pytest.param("CREATE TEMPORARY TABLE a (x int)", {}, id="a temporary table"),
        pytest.param("CREATE SCHEMA holdfast_restore; CREATE TABLE holdfast_restore.a ()", {}, id="our own marks"),
        pytest.param(
            "CREATE TABLE a (x int, y int GENERATED ALWAYS AS (x + 1) STORED, z int GENERATED ALWAYS AS IDENTITY)",
            {"a": ("x", "z")},
            id="generated columns",
        ),
        pytest.param(
            "CREATE TABLE a (x int, y int GENERATED ALWAYS AS (x + 1) VIRTUAL)", {"a": ("x",)}, id="virtual columns"
        ),
        pytest.param("CREATE TABLE a (x int, y int); ALTER TABLE a DROP x", {"a": ("y",)}, id="dropped columns"),
        pytest.param(
            "CREATE TABLE a (x int) PARTITION BY LIST (x); CREATE TABLE b PARTITION OF a DEFAULT",
            {"b": ("x",)},
            id="leaves of partitions only",
        ),
        pytest.param(
            "CREATE TABLE a (x int); CREATE TABLE b (y int) INHERITS (a)", {"a": ("x",), "b": ("x", "y")}, id="heirs"
        ),
        pytest.param('CREATE TABLE "A ""b""" ("c d" int)', {'A "b"': ("c d",)}, id="odd names"),
    ],
)
def test_finds_the_tables_that_have_rows_to_copy(
    databases: Databases, script: str, expected: dict[str, tuple[str, ...]]
) -> None:
    tables = found(databases, databases.create(script))

    assert {name: table.columns for name, table in tables.items()} == expected


def test_of_an_extensions_tables_only_its_configuration_is_copied(databases: Databases) -> None:
    parameters = databases.create("CREATE EXTENSION pg_trgm; SET allow_system_table_mods = on;" + OWNED_BY_EXTENSION)

    tables = found(databases, parameters)

    assert set(tables) == {"settings"}
    assert tables["settings"].condition == "WHERE mine"


def test_sizes_count_what_lies_out_of_line(databases: Databases) -> None:
    script = "CREATE TABLE a (x text STORAGE EXTERNAL); INSERT INTO a SELECT repeat('x', 1000000)"

    (table,) = found(databases, databases.create(script)).values()

    assert table.blocks == 1
    assert table.bytes > 1000000


def test_partitioned_tables_are_locked_too(databases: Databases) -> None:
    parameters = databases.create("CREATE TABLE a (x int) PARTITION BY LIST (x); CREATE TABLE b PARTITION OF a DEFAULT")
    with databases.connect(parameters) as session:
        names = [(relation.name.name, relation.leaf) for relation in relations.lockable(session)]

    assert names == [("a", False), ("b", True)]


def test_materialised_views_come_after_those_that_they_read(databases: Databases) -> None:
    parameters = databases.create(
        "CREATE MATERIALIZED VIEW z AS SELECT 1 AS n; CREATE VIEW y AS SELECT * FROM z;"
        "CREATE MATERIALIZED VIEW c AS SELECT * FROM y; CREATE VIEW x AS SELECT c.n FROM c, y;"
        "CREATE MATERIALIZED VIEW a AS SELECT * FROM x; CREATE MATERIALIZED VIEW b AS SELECT 1 AS n;"
        "CREATE MATERIALIZED VIEW d AS SELECT a.n FROM a, b; CREATE MATERIALIZED VIEW e AS SELECT 1 WITH NO DATA"
    )
    with databases.connect(parameters) as session:
        order = [view.name for view in facts.materialised_views(session)]

    assert sorted(order) == ["a", "b", "c", "d", "z"]
    for before, after in (("z", "c"), ("c", "a"), ("a", "d"), ("b", "d")):
        assert order.index(before) < order.index(after)


def test_roles_are_those_that_own_or_are_granted_something(databases: Databases) -> None:
    owner, reader, policed, bystander = (databases.role() for _ in range(4))
    parameters = databases.create(
        f"CREATE TABLE a (x int); ALTER TABLE a OWNER TO {owner}; GRANT SELECT ON a TO {reader};"
        f"CREATE POLICY p ON a TO {policed} USING (true)"
    )
    with databases.connect(parameters) as session:
        roles = facts.roles(session)

    assert {owner, reader, policed, "postgres"} <= set(roles)
    assert bystander not in roles


def test_sequences_are_read_whatever_their_names(databases: Databases) -> None:
    parameters = databases.create(
        """CREATE SCHEMA "S.1"; CREATE SEQUENCE "S.1"."it's ""1"" one"; SELECT setval('"S.1"."it''s ""1"" one"', 41);
        CREATE SEQUENCE plain START 7; CREATE SEQUENCE down INCREMENT -1; SELECT nextval('down');
        CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY); CREATE SEQUENCE "two\nlines"; CREATE TEMP SEQUENCE no;
        CREATE SCHEMA holdfast_restore; CREATE SEQUENCE holdfast_restore.no"""
    )
    with databases.connect(parameters) as session:
        session.execute(BEGIN)
        found = sequences(session)

    assert [(one.schema_name, one.name, one.value, one.called) for one in found] == [
        ("S.1", 'it\'s "1" one', 41, True),
        ("public", "down", -1, True),
        ("public", "plain", 7, False),
        ("public", "t_id_seq", 1, False),
        ("public", "two\nlines", 1, False),
    ]


def test_globals_hold_roles_but_no_passwords(databases: Databases) -> None:
    role = databases.role()

    text = dump_globals(databases.parameters("postgres"), ()).decode()

    assert f"CREATE ROLE {role};" in text
    assert "SCRAM" not in text
    assert "PASSWORD" not in text


def test_facts_of_the_source_are_complete(databases: Databases) -> None:
    parameters = databases.create()
    with databases.connect(parameters) as session:
        session.execute(BEGIN)
        source = facts.source(session)

    assert source.database_name == parameters.dbname
    assert source.server_version // 10000 == 18
    assert source.encoding == "UTF8"
    assert source.system_identifier
    assert source.size > 0
