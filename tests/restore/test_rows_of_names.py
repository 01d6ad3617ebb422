"""Rows whose values name things: they wait for what they name, and whoever names nothing is told which column does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.contracts.restoring import RestorePlan
from holdfast.errors import ContentRefused, StillWorking
from holdfast.model.rows_of_names import tables_of_names, tables_to_load_late
from holdfast.model.tables import TableName
from holdfast.model.toc import Section, TocEntry
from holdfast.usecases.restore.finish import finish
from holdfast.usecases.restore.load import load
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

NAMING = """
CREATE TYPE pair AS (what regclass, n int); CREATE DOMAIN thing AS regclass;
CREATE TABLE base (id int PRIMARY KEY, n int, during int4range, EXCLUDE USING gist (during WITH &&));
CREATE INDEX base_n ON base (n);
CREATE VIEW grouped AS SELECT id, n FROM base GROUP BY id;
CREATE MATERIALIZED VIEW counted AS SELECT id, n FROM base GROUP BY id;
CREATE INDEX counted_n ON counted (n);
CREATE FUNCTION total() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM (SELECT id, n FROM base GROUP BY id) g; END;
CREATE TABLE parent (what regclass);
CREATE TABLE child (m int) INHERITS (parent);
CREATE TABLE typed OF pair;
CREATE TABLE names (
    id int PRIMARY KEY REFERENCES base, a regclass, b regclass[], c thing, d pair, e regprocedure, f regtype,
    g thing[], h pair[], n int);
CREATE TABLE after (id int REFERENCES names);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'fired'; END $$;
CREATE RULE also AS ON INSERT TO names DO ALSO DELETE FROM base;
INSERT INTO base SELECT n, n, int4range(n, n + 1) FROM generate_series(1, 8) n;
ALTER TABLE names DISABLE RULE also;
INSERT INTO names SELECT id, a, ARRAY[a, NULL], a, (a, id)::pair, 'total()', 'counted', ARRAY[a::thing],
        ARRAY[(a, 1)::pair], -1
    FROM unnest(ARRAY['base_n', 'base_pkey', 'base_during_excl', 'counted', 'counted_n', 'grouped', 'names_pkey',
        'after']::regclass[]) WITH ORDINALITY AS u(a, id);
ALTER TABLE names ENABLE RULE also;
INSERT INTO parent VALUES ('base_n'); INSERT INTO child VALUES ('names_pkey', 1);
INSERT INTO typed VALUES ('counted_n', 1);
INSERT INTO after VALUES (1);
CREATE TRIGGER refuse BEFORE INSERT ON names FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE names ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
ALTER TABLE names ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON names USING (false);
COMMENT ON TRIGGER refuse ON names IS 'no more'
"""
LATE = ("child", "names", "parent", "typed")


@pytest.fixture
def ready(databases: Databases, archiver: Archiver, wired: Callable[..., Machine]) -> Callable[[str], Machine]:
    """Return a function that archives a script's database."""

    def make(script: str) -> Machine:
        source = databases.create(script)
        archiver.take(databases.parameters(source))
        return wired(source)

    return make


def plan_of(machine: Machine, restore_id: str) -> RestorePlan:
    return machine.world.plan(restore_id)


@pytest.mark.usefixtures("any_size")
def test_rows_may_name_what_is_made_after_rows(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    source, into = databases.create(NAMING), databases.name()
    archiver.take(databases.parameters(source))
    machine = wired(source)

    ended = machine.run(into)

    assert ended.proof.differences == ()
    assert ended.report.succeeded
    for table in LATE:
        query = f"SELECT t::text FROM ONLY {table} t ORDER BY 1"
        assert databases.run(into, query) == databases.run(source, query) != []
    plan = plan_of(machine, ended.assessed.restore_id)
    said = [note for note in plan.warnings if "after indexes and constraints are built" in note]
    assert said == [
        "Rows of public.child, public.names, public.parent, public.typed are loaded after indexes and constraints are "
        "built, since they may name those: that takes longer than loading them before."
    ]
    assert [stage.slices for stage in plan.stages if stage.name == "late-rows"] == [len(LATE)]


def test_late_rows_that_find_no_time_are_gone_on_with(ready: Callable[[str], Machine], databases: Databases) -> None:
    machine, into = ready(NAMING), databases.name()
    assessed = machine.assess(into)
    machine.prepare(assessed)
    machine.map(assessed.load, load)
    hasty, stopped = machine.with_time(0.0), list[str]()
    for stage in assessed.finish:
        for _ in range(2):
            for request in machine.items(stage.items):
                try:
                    finish(request, (hasty if stage.name == "late-rows" and not stopped else machine).world)
                except StillWorking:
                    stopped.append(stage.name)

    ended = machine.go_on(assessed)

    assert stopped == ["late-rows"]
    assert ended.proof.proven
    assert databases.run(into, "SELECT count(*) FROM names") == [(8,)]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("regclass", "lost_n"),
        ("regclass[]", "{lost_n}"),
        ("regtype", "lost"),
        ("regprocedure", "gone(integer)"),
        ("regproc", "gone"),
    ],
)
def test_a_part_whose_rows_name_what_was_not_chosen_is_refused_by_table_and_column(
    ready: Callable[[str], Machine], databases: Databases, type_: str, value: str
) -> None:
    machine = ready(
        "CREATE TABLE lost (n int); CREATE INDEX lost_n ON lost (n);"
        "CREATE FUNCTION gone(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        f"CREATE TABLE c (a text, \"a, column r\" {type_}); INSERT INTO c VALUES ('x', '{value}')"
    )
    assessed = machine.assess(databases.name(), tables=["c"])

    with pytest.raises(ContentRefused) as caught:
        machine.go_on(assessed)

    assert "the column a, column r of the table public.c names something that the target does not have" in str(
        caught.value
    )
    assert "choose what they name" in caught.value.hint
    assert value not in str(caught.value)
    warnings = plan_of(machine, assessed.restore_id).warnings
    assert any("public.c hold names" in note for note in warnings)


def test_a_part_that_names_only_itself_is_restored(ready: Callable[[str], Machine], databases: Databases) -> None:
    ended = ready(NAMING).run(databases.name(), tables=["typed", "counted"])

    assert ended.proof.differences == ()


def entry(number: int, kind: str, tag: str, definition: str, *depends_on: int) -> TocEntry:
    return TocEntry(
        number=number, kind=kind, tag=tag, section=Section.PRE_DATA, schema="s", definition=definition,
        depends_on=depends_on,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("definition", "naming", "late"),
    [
        pytest.param("CREATE TABLE s.t (\n    a integer,\n    b regclass\n);\n", True, True, id="a column"),
        pytest.param("CREATE TABLE s.t (\n    b regprocedure[] NOT NULL\n);\n", True, True, id="an array"),
        pytest.param('CREATE TABLE s.t (\n    "a\n""b" regtype\n);\n', True, True, id="an odd name"),
        pytest.param("CREATE TABLE s.t (\n    b regrole\n);\n", True, False, id="what never comes late"),
        pytest.param("CREATE TABLE s.t (\n    regclass text\n);\n", False, False, id="a column of that name"),
        pytest.param("CREATE TABLE s.t (\n    b s.regclass\n);\n", False, False, id="a type of that name"),
        pytest.param(
            "CREATE TABLE s.t (\n    b oid DEFAULT 's.t'::regclass\n);\n", False, False, id="a default that is a name"
        ),
    ],
)
def test_columns_of_names_are_seen_in_definitions(definition: str, naming: bool, late: bool) -> None:
    entries = [entry(1, "TABLE", "t", definition)]

    assert tables_of_names(entries) == ({TableName("s", "t")} if naming else set())
    assert tables_to_load_late(entries) == ({TableName("s", "t")} if late else set())
