"""Restoring a part of a point: tables by their names, the schema alone, rows alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest

from holdfast.contracts.manifest import Manifest
from holdfast.contracts.manifest import Sequence as SequenceValue
from holdfast.contracts.restoring import RestorePlan, RestoreReport
from holdfast.contracts.selection import Selection
from holdfast.errors import BadRequest, PointNotRestorable, TargetIncompatible, TargetNotEmpty
from holdfast.model.keys import ROLES, ArchiveKeys
from holdfast.model.points import Kind, PointState
from holdfast.usecases.restore.statements import set_sequences
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Ended, Machine
from snapshot.rig import Rig

SCRIPT = """
    CREATE SCHEMA billing; CREATE SCHEMA audit;
    CREATE TYPE public.mood AS ENUM ('ok', 'bad');
    CREATE FUNCTION audit.stamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()';
    CREATE FUNCTION audit.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TABLE public.users (id serial PRIMARY KEY, mood mood, at timestamptz DEFAULT audit.stamp(), name text);
    CREATE INDEX users_name ON public.users (name); COMMENT ON INDEX public.users_name IS 'by name';
    CREATE TRIGGER touch BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION audit.touch();
    CREATE TABLE billing.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                                 user_id int REFERENCES public.users, total numeric);
    CREATE TABLE billing.items (order_id int REFERENCES billing.orders, what text);
    CREATE TABLE billing.days (day int, n int) PARTITION BY RANGE (day);
    CREATE TABLE billing.days_1 PARTITION OF billing.days FOR VALUES FROM (0) TO (100);
    CREATE TABLE audit.days_2 PARTITION OF billing.days FOR VALUES FROM (100) TO (200);
    CREATE INDEX ON billing.days (n);
    CREATE TABLE public.big AS SELECT n, repeat(md5(n::text), 8) AS filler FROM generate_series(1, 20000) n;
    CREATE MATERIALIZED VIEW billing.totals AS SELECT user_id, sum(total) FROM billing.orders GROUP BY 1;
    CREATE VIEW public.sad AS SELECT * FROM public.users WHERE mood = 'bad';
    INSERT INTO public.users (mood, name) SELECT 'ok', 'u' || n FROM generate_series(1, 500) n;
    INSERT INTO billing.orders (user_id, total) SELECT n, n FROM generate_series(1, 300) n;
    INSERT INTO billing.items SELECT n, 'thing' FROM generate_series(1, 300) n;
    INSERT INTO billing.days SELECT n, n FROM generate_series(0, 199) n;
    REFRESH MATERIALIZED VIEW billing.totals;
    SELECT lo_from_bytea(4711, 'x')
"""
RELATIONS = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname IN ('public', 'billing', 'audit') ORDER BY 1
"""
KEYS = "SELECT conname FROM pg_constraint WHERE contype = 'f' ORDER BY 1"


@pytest.fixture(scope="module")
def source(databases: Databases) -> str:
    """Return the name of the source: read it, never change it."""
    return databases.create(SCRIPT)


@pytest.fixture
def ready(databases: Databases, source: str, archiver: Archiver, wired: Callable[..., Machine]) -> Machine:
    archiver.take(databases.parameters(source))
    return wired(source)


def relations(databases: Databases, name: str) -> list[object]:
    return [found for (found,) in databases.run(name, RELATIONS)]


def plan_of(machine: Machine, ended: Ended) -> RestorePlan:
    return machine.world.plan(ended.assessed.restore_id)


def notes_of(machine: Machine, ended: Ended) -> str:
    body = machine.scratch.read(ended.report.key)
    assert body is not None
    return " ".join(RestoreReport.model_validate_json(body).notes)


def test_a_table_comes_with_what_it_needs_and_nothing_else(databases: Databases, ready: Machine) -> None:
    into = databases.name()

    ended = ready.run(into, tables=["users"])

    assert ended.proof.differences == ()
    assert ended.report.succeeded
    assert relations(databases, into) == ["public.users"]
    assert databases.run(into, "SELECT count(*), max(id) FROM users") == [(500, 500)]
    assert databases.run(into, "INSERT INTO users (mood) VALUES ('bad') RETURNING id") == [(501,)]
    assert databases.run(into, "SELECT obj_description('users_name'::regclass)") == [("by name",)]
    assert databases.run(into, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == [("touch",)]


def test_only_the_chunks_of_the_table_are_read(databases: Databases, ready: Machine, archiver: Archiver) -> None:
    ended = ready.run(databases.name(), tables=["public.users"])

    point = archiver.points.get(ended.assessed.point_id)
    keys = ArchiveKeys("shop")
    manifest = Manifest.model_validate_json(archiver.archive.read(keys.of_point(point.id, "manifest.json")))
    (users,) = [table for table in manifest.tables if table.name == "users"]
    chunks = sum(chunk.stored for chunk in users.chunks)
    everything = sum(chunk.stored for content in manifest.contents for chunk in content.chunks)
    beside = {
        name: len(archiver.archive.read(keys.of_point(point.id, name)))
        for name in ("manifest.json", "manifest.sig", "public-key.pem", "verification.json", "schema.dump", ROLES)
    }
    body = ready.scratch.read(ended.report.key)
    assert body is not None
    read = RestoreReport.model_validate_json(body).bytes_read
    invocations = 1 + ended.assessed.slices_before + sum(stage.items.count for stage in ended.assessed.finish) + 1
    assert read.chunks == chunks < everything / 10
    # The manifest is read once; schema dump and roles by every invocation that needs them.
    again = beside["verification.json"] + 2 * invocations * beside[ROLES] + invocations * beside["schema.dump"]
    assert read.beside <= sum(beside.values()) + again
    assert (ended.report.bytes_read, ended.report.bytes_of_point) == (chunks, everything)
    assert ended.report.bytes_beside == read.beside


def test_a_part_does_not_prove_the_point(databases: Databases, ready: Machine) -> None:
    ended = ready.run(databases.name(), tables=["public.users"])

    assert ended.proof.proven
    assert ready.archiver.points.get(ended.assessed.point_id).state is PointState.INTACT
    assert "shop (only public.users) was restored" in ended.report.sentence


def test_foreign_keys_are_kept_between_chosen_tables_and_named_otherwise(databases: Databases, ready: Machine) -> None:
    into = databases.name()

    ended = ready.run(into, tables=["billing.(orders|items)"])

    assert ended.proof.differences == ()
    assert relations(databases, into) == ["billing.items", "billing.orders"]
    assert databases.run(into, KEYS) == [("items_order_id_fkey",)]
    assert "Left out: fk constraint billing.orders orders_user_id_fkey." in notes_of(ready, ended)


def test_a_schema_comes_whole_and_its_tables_elsewhere_with_it(databases: Databases, ready: Machine) -> None:
    into = databases.name()

    ended = ready.run(into, schemas=["billing"], tables=["users"])

    assert ended.proof.differences == ()
    assert "audit.days_2" in relations(databases, into)
    assert databases.run(into, "SELECT count(*) FROM billing.days") == [(200,)]
    assert databases.run(into, "SELECT count(*) FROM billing.totals") == [(300,)]
    assert databases.run(into, KEYS) == [("items_order_id_fkey",), ("orders_user_id_fkey",)]


def test_what_is_only_needed_comes_without_rows_and_is_told(databases: Databases, ready: Machine) -> None:
    into = databases.name()

    ended = ready.run(into, tables=["audit.days_2", "billing.totals"])

    notes = notes_of(ready, ended)
    assert ended.proof.differences == ()
    assert relations(databases, into) == ["audit.days_2", "billing.days", "billing.orders", "billing.totals"]
    assert databases.run(into, "SELECT count(*) FROM billing.days") == [(100,)]
    assert databases.run(into, "SELECT count(*) FROM billing.orders") == [(0,)]
    assert databases.run(into, "SELECT relispopulated FROM pg_class WHERE relname = 'totals'") == [(False,)]
    assert "The table billing.orders is needed by what was chosen: its definition comes, its rows do not." in notes
    assert "rows of the materialised view billing.totals" in notes


@pytest.mark.parametrize(
    "wanted",
    [{"tables": ["billing.items"]}, {"schemas": ["billing"]}, {"kind": "schema"}],
    ids=lambda each: next(iter(each)),
)
def test_a_database_that_holds_something_takes_no_part_either(
    databases: Databases, ready: Machine, wanted: dict[str, Any]
) -> None:
    into = databases.create("CREATE TABLE public.mine (n int); INSERT INTO mine VALUES (1)")

    error = ready.fails(into, **wanted)

    assert isinstance(error, TargetNotEmpty)
    assert error.message == f"The database {into} holds table public.mine."
    assert f"--into {into}_rescue" in error.hint
    assert databases.run(into, "SELECT * FROM mine") == [(1,)]


def test_a_database_that_is_empty_takes_a_part_and_gets_nothing_more(databases: Databases, ready: Machine) -> None:
    into = databases.create()

    ended = ready.run(into, tables=["users"])

    assert ended.proof.differences == ()
    assert relations(databases, into) == ["public.users"]


FAMILIES = """
    CREATE SCHEMA s; CREATE TYPE s.colour AS ENUM ('red', 'green', 'blue');
    CREATE TABLE s.hashed (c s.colour, n int) PARTITION BY HASH (c);
    CREATE TABLE s.hashed_0 PARTITION OF s.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE s.hashed_1 PARTITION OF s.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO s.hashed SELECT (enum_range(NULL::s.colour))[n % 3 + 1], n FROM generate_series(1, 90) n;
    CREATE TABLE s.parent (id int); CREATE TABLE s.child (more text) INHERITS (s.parent);
    INSERT INTO s.child VALUES (1, 'x'); CREATE TABLE s.log (id int);
    CREATE RULE noted AS ON DELETE TO s.parent DO ALSO INSERT INTO s.log VALUES (OLD.id);
    CREATE TABLE s."parent 2" (id int)
"""


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param("s.hashed_1", ["s.hashed", "s.hashed_0", "s.hashed_1"], id="partitions by hash are one"),
        pytest.param("s.parent", ["s.child", "s.log", "s.parent"], id="children, and what a rule writes to"),
        pytest.param('s."parent 2"', ["s.parent 2"], id="names that begin alike are told apart"),
        pytest.param("s.log", ["s.log"], id="what others need does not bring them"),
    ],
)
def test_families_come_together(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine], table: str, expected: list[str]
) -> None:
    source, into = databases.create(FAMILIES), databases.name()
    archiver.take(databases.parameters(source))

    ended = wired(source).run(into, tables=[table])

    assert ended.proof.differences == ()
    assert databases.run(into, RELATIONS.replace("'public'", "'s'")) == [(name,) for name in expected]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        pytest.param({"tables": ["public.usres"]}, "public.users?", id="a typing error"),
        pytest.param({"tables": ["orders"]}, "Did you mean billing.orders?", id="a schema is missing"),
        pytest.param({"schemas": ["biling"]}, "Did you mean billing?", id="a schema with a typing error"),
        pytest.param({"tables": ["users", "a.b.c"]}, "", id="no pattern"),
    ],
)
def test_unknown_names_are_refused_with_those_that_they_may_mean(
    ready: Machine, databases: Databases, wanted: dict[str, list[str]], meant: str
) -> None:
    error = ready.fails(databases.name(), **wanted)

    assert isinstance(error, BadRequest)
    assert meant in error.hint


def test_the_schema_alone_can_be_restored_of_a_full_point(databases: Databases, ready: Machine) -> None:
    into = databases.name()

    ended = ready.run(into, kind="schema")

    assert ended.proof.differences == ()
    assert databases.run(into, "SELECT count(*) FROM users") == [(0,)]
    assert ended.report.bytes_read == 0
    assert ready.archiver.points.get(ended.assessed.point_id).state is PointState.INTACT


def test_rows_alone_fill_the_tables_of_a_database(databases: Databases, ready: Machine) -> None:
    into = databases.name()
    ready.run(into, kind="schema")

    ended = ready.run(into, kind="data")

    assert ended.proof.differences == ()
    assert databases.run(into, "SELECT count(*) FROM billing.orders") == [(300,)]
    assert databases.run(into, "SELECT count(*) FROM billing.totals") == [(300,)]
    assert databases.run(into, "INSERT INTO users (mood) VALUES ('bad') RETURNING id") == [(501,)]
    assert databases.run(into, "SELECT lo_get(4711)") == [(b"x",)]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        pytest.param("", "The table public.users is missing.", id="no table"),
        pytest.param("CREATE TABLE users (id int)", "has no column mood, at, name.", id="no column"),
    ],
)
def test_rows_alone_are_refused_by_tables_that_cannot_take_them(
    databases: Databases, ready: Machine, script: str, sentence: str
) -> None:
    into = databases.create(*([script] if script else []))

    error = ready.fails(into, kind="data", tables=["users"])

    assert isinstance(error, TargetIncompatible)
    assert sentence in error.message


def test_rows_alone_never_take_a_sequence_back(databases: Databases, ready: Machine) -> None:
    into = databases.name()
    ready.run(into, kind="schema")
    databases.run(into, "SELECT setval('users_id_seq', 900)")

    error = ready.fails(into, kind="data")

    assert isinstance(error, TargetIncompatible)
    assert "The sequence public.users_id_seq is at 900, ahead of the point's 500." in error.message
    assert databases.run(into, "SELECT last_value FROM users_id_seq") == [(900,)]


@pytest.mark.parametrize(("live", "kept"), [(900, True), (3, False)], ids=["ahead", "behind"])
def test_the_statement_itself_keeps_a_sequence_that_is_ahead(databases: Databases, live: int, kept: bool) -> None:
    name = databases.create("CREATE SEQUENCE s")
    databases.run(name, f"SELECT setval('s', {live})")
    value = SequenceValue(schema_name="public", name="s", value=500, called=True)
    (document,) = set_sequences([value], forward_only=True)

    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) if kept else nullcontext():
        databases.run(name, document.statements[0])

    assert databases.run(name, "SELECT last_value FROM s") == [(live if kept else 500,)]


def test_rows_alone_need_a_database(databases: Databases, ready: Machine) -> None:
    assert isinstance(ready.fails(databases.name(), kind="data"), TargetIncompatible)


class TestPointsOfAKind:
    """Points that were taken of the schema or the rows alone, or of a selection, by a real backup."""

    @pytest.fixture
    def machine(self, archiver: Archiver, wired: Callable[..., Machine], source: str) -> Callable[[Rig], Machine]:
        def of(rig: Rig) -> Machine:
            archiver.archive, archiver.points = rig.archive, rig.points
            archiver.signer, archiver.digest_keys = rig.signer, rig.digest_keys
            return wired(source)

        return of

    def test_schema_and_data_points_are_restored_one_after_the_other(
        self, databases: Databases, source: str, machine: Callable[[Rig], Machine]
    ) -> None:
        rig, into = Rig(databases.parameters(source)), databases.name()
        schema, data = rig.backup(Kind.SCHEMA), rig.backup(Kind.DATA)
        for point in (schema, data):
            rig.verify(point.id)

        first = machine(rig).run(into, point=schema.id)
        second = machine(rig).run(into, point=data.id)

        assert (first.proof.differences, second.proof.differences) == ((), ())
        assert {rig.points.get(point.id).state for point in (schema, data)} == {PointState.PROVEN}
        assert databases.run(into, "SELECT count(*) FROM users") == [(500,)]
        assert "the schema's fingerprint is the point's own" in " ".join(second.report.notes)
        assert isinstance(machine(rig).fails(databases.name(), point=schema.id, kind="full"), PointNotRestorable)

    def test_a_point_with_exclusions_is_restored_and_says_so(
        self, databases: Databases, source: str, machine: Callable[[Rig], Machine]
    ) -> None:
        selection = Selection(exclude_tables=("users", "sad"), exclude_rows=("big",))
        rig, into = Rig(databases.parameters(source), selection=selection), databases.name()
        point = rig.backup()
        rig.verify(point.id)

        ended = machine(rig).run(into)

        assert ended.proof.differences == ()
        assert "public.users" not in relations(databases, into)
        assert databases.run(into, "SELECT count(*) FROM big") == [(0,)]
        assert "The point has not all of shop: without: users, sad; without rows: big." in ended.report.notes
        assert any("orders_user_id_fkey. The table public.users" in note for note in ended.report.notes)
        assert rig.points.get(point.id).state is PointState.PROVEN

    def test_tables_chosen_by_name_are_restored_with_their_schemas(
        self, databases: Databases, source: str, machine: Callable[[Rig], Machine]
    ) -> None:
        selection = Selection(include_tables=("billing.items", "audit.days_2"))
        rig, into = Rig(databases.parameters(source), selection=selection), databases.name()
        rig.verify(rig.backup().id)

        ended = machine(rig).run(into)

        assert ended.proof.differences == ()
        assert relations(databases, into) == ["audit.days_2", "billing.items"]
