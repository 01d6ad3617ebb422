"""What patterns choose, compared with what pg_dump itself takes for the same patterns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import psycopg
import pytest

from holdfast.adapters.postgres import programs
from holdfast.adapters.postgres.connect import ConnectionParameters
from holdfast.adapters.postgres.relations import lockable, tables
from holdfast.adapters.postgres.selecting import choose
from holdfast.contracts.manifest import Manifest
from holdfast.contracts.selection import Selection
from holdfast.errors import BadConfiguration, PrivilegeMissing, SchemaChanged
from holdfast.model.keys import SCHEMA, ArchiveKeys
from holdfast.model.points import Kind
from holdfast.model.toc import TocEntry, read_toc
from snapshot.rig import DATABASE, Rig
from snapshot.servers import Databases

SCRIPT = """
    CREATE SCHEMA app; CREATE SCHEMA audit; CREATE SCHEMA "Odd.One";
    CREATE TABLE users (id serial PRIMARY KEY, name text);
    CREATE TABLE "Users" (id int GENERATED ALWAYS AS IDENTITY);
    CREATE TABLE cost$ (id int);
    CREATE TABLE app.users (id int PRIMARY KEY);
    CREATE TABLE app.orders (id serial, user_id int REFERENCES app.users);
    CREATE TABLE app.log_1 (n int); CREATE TABLE app.log_20 (n int);
    CREATE TABLE app.events (at int) PARTITION BY RANGE (at);
    CREATE TABLE app.events_old PARTITION OF app.events FOR VALUES FROM (0) TO (10);
    CREATE TABLE audit.events_new PARTITION OF app.events FOR VALUES FROM (10) TO (20);
    CREATE TABLE audit.entries (id serial, what text);
    CREATE TABLE "Odd.One"."a.b" (n int); CREATE TABLE "Odd.One".plain (n int);
    CREATE VIEW app.recent AS SELECT * FROM app.orders;
    CREATE MATERIALIZED VIEW app.summary AS SELECT count(*) FROM app.orders;
    INSERT INTO users SELECT n FROM generate_series(1, 10) n;
    INSERT INTO app.users SELECT n FROM generate_series(1, 5) n;
    INSERT INTO app.orders (user_id) SELECT n FROM generate_series(1, 5) n;
    INSERT INTO app.events SELECT n FROM generate_series(0, 19) n; INSERT INTO audit.entries (what) VALUES ('x');
    SELECT lo_from_bytea(99, 'x')
"""
OPTIONS = {
    "include_schemas": "--schema",
    "exclude_schemas": "--exclude-schema",
    "include_tables": "--table-and-children",
    "exclude_tables": "--exclude-table-and-children",
}


@pytest.fixture(scope="module")
def source(databases: Databases) -> ConnectionParameters:
    return databases.create(SCRIPT)


def by_pg_dump(parameters: ConnectionParameters, patterns: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    given = [f"{OPTIONS[key]}={pattern}" for key, texts in patterns.items() for pattern in texts]
    # Schemas of the server itself are nobody's to back up, but `-t '*'` takes them.
    archive = programs.run("pg_dump", ["-Fc", "--schema-only", "--exclude-table=pg_catalog.*", *given], parameters)
    return names(read_toc(archive), "TABLE")


def names(entries: Iterable[TocEntry], *kinds: str) -> set[tuple[str, str]]:
    return {(entry.schema, entry.tag) for entry in entries if entry.kind in kinds}


@pytest.mark.parametrize(
    "patterns",
    [
        {"include_schemas": ["app"]},
        {"include_schemas": ["A*"]},
        {"include_schemas": ['"Odd.One"']},
        {"exclude_schemas": ["aud?t"]},
        {"include_schemas": ["a*"], "exclude_schemas": ["audit"]},
        {"include_tables": ["users"]},
        {"include_tables": ['"Users"']},
        {"include_tables": ["*"]},
        {"include_tables": ["*.users"]},
        {"include_tables": ["cost$"]},
        {"include_tables": ["app.log_[0-9]+"]},
        {"include_tables": ["app.log_?"]},
        {"include_tables": ["app.(orders|users)"]},
        {"include_tables": ['"Odd.One"."a.b"']},
        {"include_tables": ['"Odd.One".*']},
        {"include_tables": ["app.events"]},
        {"include_tables": ["app.events_old"]},
        {"include_tables": ["app.*"], "exclude_tables": ["app.log*"]},
        {"include_tables": ["app.users"], "include_schemas": ["audit"]},
        {"exclude_tables": ["users"]},
        {"exclude_tables": ["*.users"]},
        {"exclude_tables": ["app.events"]},
        {"exclude_tables": ["app.USERS", '"Users"'], "exclude_schemas": ["audit"]},
    ],
    ids=str,
)
def test_the_tables_chosen_are_those_that_pg_dump_takes(
    databases: Databases, source: ConnectionParameters, patterns: Mapping[str, list[str]]
) -> None:
    selection = Selection.model_validate(patterns)

    with databases.connect(source) as session:
        chosen = {(table.name.schema, table.name.name) for table in lockable(session, selection)}
        unmatched = choose(session, selection).unmatched

    assert chosen == by_pg_dump(source, patterns)
    assert chosen
    assert not unmatched


def test_rows_alone_can_be_left_out_with_those_of_partitions(
    databases: Databases, source: ConnectionParameters
) -> None:
    selection = Selection(exclude_rows=("app.events", "users"))

    with databases.connect(source) as session:
        copied = {str(table.relation.name) for table in tables(session, choose(session, selection))}
        locked = {str(table.name) for table in lockable(session, selection)}

    assert locked - copied == {"app.events", "app.events_old", "audit.events_new", "public.users"}


def dump_of(rig: Rig, manifest: Manifest) -> tuple[TocEntry, ...]:
    return read_toc(rig.archive.read(ArchiveKeys(DATABASE).of_point(manifest.point_id, SCHEMA)))


def test_schema_dump_and_rows_of_a_point_are_of_the_same_selection(source: ConnectionParameters) -> None:
    rig = Rig(source, selection=Selection(exclude_schemas=("audit",), exclude_rows=("app.orders",)))

    point = rig.backup()

    manifest = rig.manifest(point.id)
    entries = dump_of(rig, manifest)
    copied = {(table.schema_name, table.name) for table in manifest.tables}
    assert rig.verify(point.id).intact
    assert point.selection == "without: audit.*; without rows: app.orders"
    assert manifest.without_rows == (("app", "orders"),)
    assert copied | {("app", "orders"), ("app", "events")} == names(entries, "TABLE")
    assert {(one.schema_name, one.name) for one in manifest.sequences} == names(entries, "SEQUENCE")
    assert [view.name for view in manifest.materialised_views] == ["summary"]
    assert manifest.large_objects


def test_what_is_chosen_by_name_comes_without_what_has_no_schema(source: ConnectionParameters) -> None:
    rig = Rig(source, selection=Selection(include_tables=("public.users",)))

    manifest = rig.manifest(rig.backup().id)

    assert [(table.schema_name, table.name, table.rows) for table in manifest.tables] == [("public", "users", 10)]
    assert [one.name for one in manifest.sequences] == ["users_id_seq"]
    assert (manifest.large_objects, manifest.extensions, manifest.materialised_views) == (None, (), ())


@pytest.mark.parametrize("kind", [Kind.FULL, Kind.SCHEMA, Kind.DATA])
def test_points_of_every_kind_heed_the_selection(source: ConnectionParameters, kind: Kind) -> None:
    rig = Rig(source, selection=Selection(include_schemas=("audit",), exclude_tables=("audit.events*",)))

    point = rig.backup(kind)

    manifest = rig.manifest(point.id)
    assert rig.verify(point.id).intact
    assert [table.name for table in manifest.tables] == ([] if kind is Kind.SCHEMA else ["entries"])
    assert manifest.schema_dump is None or names(dump_of(rig, manifest), "TABLE") == {("audit", "entries")}


@pytest.mark.parametrize(
    ("selection", "named", "meant"),
    [
        pytest.param(
            Selection(exclude_tables=("app.odrers",)), "exclude_tables: 'app.odrers'", "app.orders", id="table"
        ),
        pytest.param(
            Selection(exclude_tables=("orders",)), "exclude_tables: 'orders'", "app.orders", id="off the path"
        ),
        pytest.param(Selection(include_schemas=("adit",)), "include_schemas: 'adit'", "audit", id="schema"),
        pytest.param(Selection(exclude_rows=("nothing*",)), "exclude_rows: 'nothing*'", "", id="rows"),
    ],
)
def test_a_pattern_that_matches_nothing_is_refused_at_the_start(
    source: ConnectionParameters, selection: Selection, named: str, meant: str
) -> None:
    with pytest.raises(BadConfiguration) as refused:
        Rig(source, selection=selection).start()

    assert named in refused.value.message
    assert meant in refused.value.hint


def test_a_table_that_is_left_out_is_neither_read_nor_locked_nor_watched(databases: Databases) -> None:
    parameters = databases.create("CREATE TABLE kept (n int); CREATE TABLE secret (n int)")
    role = databases.role()
    with databases.connect(parameters) as session:
        session.execute(f"GRANT SELECT ON kept TO {role}".encode())
    reader = replace(parameters, user=role, password="secret")
    rig = Rig(reader, selection=Selection(exclude_tables=("secret",)))
    started = rig.start()

    with rig.holding(started.point_id), databases.connect(parameters) as other:
        other.execute("SET lock_timeout = '1s'")
        planned = rig.plan(started.point_id)
        other.execute("ALTER TABLE secret ADD COLUMN m int")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("ALTER TABLE kept ADD COLUMN m int")
        rig.dump_all(planned)
        rig.seal(started.point_id)

    assert [table.name for table in rig.manifest(started.point_id).tables] == ["kept"]
    with pytest.raises(PrivilegeMissing):
        Rig(reader).start()


def test_a_change_of_what_is_chosen_fails_the_point(databases: Databases) -> None:
    parameters = databases.create(
        "CREATE TABLE kept (n int); CREATE TABLE other (n int); CREATE TYPE mood AS ENUM ('a')"
    )
    rig = Rig(parameters, selection=Selection(exclude_tables=("other",)), yield_pauses_seconds=())
    started = rig.start()

    with rig.holding(started.point_id), databases.connect(parameters) as session:
        rig.dump_all(rig.plan(started.point_id))
        session.execute("ALTER TYPE mood ADD VALUE 'b'")

        with pytest.raises(SchemaChanged):
            rig.seal(started.point_id)
