"""Large tables: what takes long is cut into halves and built side by side, and is in the end what it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.adapters.postgres.connect import ConnectionParameters, connect
from holdfast.contracts.restoring import FinishBatch
from holdfast.model.building import LARGE_TABLE, SMALL_SLICE, foreign_key_stages, index_stages, tables_of
from holdfast.model.halving import definition
from holdfast.model.refreshing import MOST_LEVELS, refresh_levels
from holdfast.model.slices import Slice, StagePlan, Way
from holdfast.model.tables import TableName
from holdfast.model.toc import Section, TocEntry
from holdfast_local.postgres import EmbeddedPostgres
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine

HALVES = (Path(__file__).parent / "halves.sql").read_text(encoding="utf-8")
HALVES_18 = (Path(__file__).parent / "halves_18.sql").read_text(encoding="utf-8")


@pytest.mark.usefixtures("all_large")
def test_keys_made_of_indexes_and_foreign_keys_checked_later_are_what_they_were(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    source = databases.create(HALVES, HALVES_18)
    archiver.take(databases.parameters(source))
    machine, into = wired(source), databases.name()

    ended = machine.run(into)

    assert ended.proof.differences == ()
    assert ways(machine) == set(Way)
    assert databases.run(into, "SELECT n FROM aa_hides") == [(4,)]
    assert databases.run(into, UNFIT) == databases.run(source, UNFIT)


def test_a_view_that_reads_an_emptied_one_is_left_empty_and_told(
    databases: Databases, archiver: Archiver, wired: Callable[..., Machine]
) -> None:
    source = databases.create(
        "CREATE MATERIALIZED VIEW a AS SELECT 1 AS n; CREATE MATERIALIZED VIEW b AS SELECT n FROM a;"
        "REFRESH MATERIALIZED VIEW a WITH NO DATA"
    )
    archiver.take(databases.parameters(source))
    machine, into = wired(source), databases.name()

    ended = machine.run(into)

    assert ended.proof.differences == ("The materialised view public.b has not been refreshed.",)
    assert [note for note in ended.report.notes if "is empty" in note] == [
        "The materialised view public.b is empty: it reads one that has no rows, in the source as here."
    ]
    assert databases.run(into, "SELECT relispopulated FROM pg_class WHERE relname = 'b'") == [(False,)]


UNFIT = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT (indisvalid AND indisready)
"""


@pytest.mark.usefixtures("all_large")
def test_an_old_servers_keys_are_halved_too(tmp_path: Path, archiver: Archiver, wired: Callable[..., Machine]) -> None:
    with EmbeddedPostgres(15, tmp_path) as server:
        parameters = ConnectionParameters.from_secret(server.url())
        with connect(parameters, application_name="test") as connection:
            connection.execute(HALVES)
        archiver.take(parameters)
        machine = wired("postgres")
        machine.secrets.secrets["holdfast/shop"] = server.url()

        ended = machine.run("again")

    assert ended.proof.differences == ()


def ways(machine: Machine) -> set[Way]:
    bodies = [body for key, body in machine.scratch.objects.items() if "/batches/" in key and b'"slices"' in body]
    return {each.way for body in bodies for each in FinishBatch.model_validate_json(body).slices}


def entry(number: int, kind: str, tag: str, *depends_on: int, text: str = "", relkind: str = "") -> TocEntry:
    return TocEntry(
        number=number,
        kind=kind,
        tag=tag,
        section=Section.PRE_DATA if "TABLE" in kind else Section.POST_DATA,
        schema="app",
        definition=text,
        relkind=relkind,
        depends_on=depends_on,
    )


ADD = "ALTER TABLE ONLY app.t\n    ADD CONSTRAINT k "


@pytest.mark.parametrize(
    ("archived", "index", "key"),
    [
        pytest.param(
            "PRIMARY KEY (id);\n",
            "CREATE UNIQUE INDEX k ON app.t USING btree (id);\n",
            "PRIMARY KEY USING INDEX k;\n",
            id="plain",
        ),
        pytest.param(
            "UNIQUE NULLS NOT DISTINCT (a, \"b)\") INCLUDE (c) WITH (fillfactor='70') DEFERRABLE INITIALLY DEFERRED;\n"
            "\nALTER TABLE app.t CLUSTER ON k;\n",
            'CREATE UNIQUE INDEX k ON app.t USING btree (a, "b)") INCLUDE (c) NULLS NOT DISTINCT'
            " WITH (fillfactor='70');\n",
            "UNIQUE USING INDEX k DEFERRABLE INITIALLY DEFERRED;\n\nALTER TABLE app.t CLUSTER ON k;\n",
            id="everything",
        ),
    ],
)
def test_a_key_is_its_index_and_then_the_constraint(archived: str, index: str, key: str) -> None:
    constraint = entry(2, "CONSTRAINT", "t k", 1, text=ADD + archived)

    assert definition(constraint, Way.INDEX_OF_KEY) == index
    assert definition(constraint, Way.KEY_FROM_INDEX) == ADD + key


@pytest.mark.parametrize(
    "archived",
    [
        pytest.param("PRIMARY KEY (id, valid WITHOUT OVERLAPS);\n", id="a temporal key"),
        pytest.param("EXCLUDE USING gist (r WITH &&);\n", id="an exclusion constraint"),
        pytest.param("PRIMARY KEY (id) SOMETHING NEW;\n", id="something unheard of"),
    ],
)
def test_what_is_no_plain_key_stays_whole(archived: str) -> None:
    table = entry(1, "TABLE", "t", relkind="r")
    constraint = entry(2, "CONSTRAINT", "t k", 1, text=ADD + archived)

    stages = index_stages([constraint], tables_of([table], {TableName("app", "t"): LARGE_TABLE}))

    assert [(stage.name, slices(stage)[0].way) for stage in stages] == [("keys", Way.WHOLE)]


@pytest.mark.parametrize(
    ("relkind", "size", "expected"),
    [
        pytest.param("r", LARGE_TABLE, [("indexes-0", Way.INDEX_OF_KEY), ("keys", Way.KEY_FROM_INDEX)], id="large"),
        pytest.param("r", LARGE_TABLE - 1, [("indexes-0", Way.WHOLE)], id="just not large"),
        pytest.param("p", LARGE_TABLE, [("indexes-0", Way.WHOLE)], id="partitioned: only its partitions are read"),
        pytest.param("", LARGE_TABLE, [("keys", Way.WHOLE)], id="of a dump that does not say what it is"),
    ],
)
def test_keys_of_large_tables_that_have_rows_are_halved(
    relkind: str, size: int, expected: list[tuple[str, Way]]
) -> None:
    table = entry(1, "TABLE", "t", relkind=relkind)
    constraint = entry(2, "CONSTRAINT", "t k", 1, text=f"{ADD}PRIMARY KEY (id);\n")

    stages = index_stages([constraint], tables_of([table], {TableName("app", "t"): size}))

    assert [(stage.name, each.way) for stage in stages for each in slices(stage)] == expected


@pytest.mark.parametrize("suffix", ["NOT VALID", "NOT ENFORCED"])
def test_a_foreign_key_that_is_not_checked_in_the_source_is_not_checked(suffix: str) -> None:
    table = entry(1, "TABLE", "t", relkind="r")
    foreign = entry(2, "FK CONSTRAINT", "t k", 1, text=f"{ADD}FOREIGN KEY (a) REFERENCES app.t(id) {suffix};\n")

    stages = foreign_key_stages([foreign], tables_of([table], {TableName("app", "t"): LARGE_TABLE}))

    assert [(stage.name, each.way) for stage in stages for each in slices(stage)] == [("foreign-keys", Way.WHOLE)]


def test_checks_of_one_table_follow_each_other_and_those_of_others_run_beside_them() -> None:
    tables = [entry(number, "TABLE", f"t{number}", relkind="r") for number in range(3)]
    text = "ALTER TABLE ONLY app.t{}\n    ADD CONSTRAINT k{} FOREIGN KEY (a) REFERENCES app.t0(a);\n"
    # In the archive, what a foreign key depends on comes in any order.
    foreign = [
        entry(10 + number, "FK CONSTRAINT", "x", 0, 1 + number % 2, text=text.format(1 + number % 2, number))
        for number in range(4)
    ]

    made, checked = foreign_key_stages(foreign, tables_of(tables, {TableName("app", "t0"): LARGE_TABLE}))

    assert [each.entries for each in slices(made)] == [(10, 11, 12, 13)]
    assert [[each.entries for each in batch] for batch in checked.batches] == [[(10,), (12,)], [(11,), (13,)]]
    assert {each.way for each in slices(checked)} == {Way.CHECK}


def slices(stage: StagePlan) -> list[Slice]:
    return [each for batch in stage.batches for each in batch]


sizes = st.sampled_from([0, 1, LARGE_TABLE // 2, LARGE_TABLE, 3 * LARGE_TABLE])
kinds = st.sampled_from(["INDEX", "PRIMARY KEY", "EXCLUDE", "COMMENT", "FK"])


@st.composite
def schemas(draw: st.DrawFn) -> tuple[list[TocEntry], dict[TableName, int]]:
    """Draw tables, some partitioned, and things built on them, of which some depend on one that came before."""
    count = draw(st.integers(1, 6))
    entries = [entry(n, "TABLE", f"t{n}", relkind=draw(st.sampled_from("rrp"))) for n in range(count)]
    on: dict[int, TocEntry] = {}
    for number, kind in enumerate(draw(st.lists(kinds, max_size=40)), start=count):
        table = draw(st.integers(0, count - 1))
        earlier = draw(st.sampled_from(sorted(on))) if on and draw(st.booleans()) else None
        head = (
            f"ALTER TABLE {'ONLY ' if entries[table].relkind == 'r' else ''}app.t{table}\n    ADD CONSTRAINT k{number} "
        )
        match kind:
            case "INDEX":
                found = entry(number, "INDEX", f"i{number}", table, *([] if earlier is None else [earlier]))
            case "COMMENT":
                found = entry(number, "COMMENT", "c", number - 1 if earlier is None else earlier)
            case "PRIMARY KEY" | "EXCLUDE":
                found = entry(number, "CONSTRAINT", f"k{number}", table, text=f"{head}{kind} (a);\n")
            case _:
                found = entry(
                    number, "FK CONSTRAINT", f"k{number}", table, text=f"{head}FOREIGN KEY (a) REFERENCES x;\n"
                )
        if kind in {"INDEX", "PRIMARY KEY", "EXCLUDE"}:
            on[number] = found
        entries.append(found)
    return entries, {TableName("app", f"t{n}"): draw(sizes) for n in range(count)}


HALVES_OF = {Way.WHOLE: {1, 2}, Way.INDEX_OF_KEY: {1}, Way.KEY_FROM_INDEX: {2}, Way.UNCHECKED: {1}, Way.CHECK: {2}}


@given(schemas())
def test_every_entry_is_run_exactly_once_and_after_what_it_depends_on(
    schema: tuple[list[TocEntry], dict[TableName, int]],
) -> None:
    entries, table_bytes = schema
    tables = tables_of(entries, table_bytes)
    beside = [each for each in entries if each.kind in {"INDEX", "CONSTRAINT"}]
    foreign = [each for each in entries if each.kind == "FK CONSTRAINT"]
    stages = [*index_stages(beside, tables), *foreign_key_stages(foreign, tables)]

    done: dict[tuple[int, int], tuple[int, int, int]] = {}
    for at, stage in enumerate(stages):
        for batch, inside in enumerate(stage.batches):
            for position, each in enumerate(inside):
                assert stage.name != "foreign-keys" or len(each.entries) <= SMALL_SLICE
                for number, half in ((number, half) for number in each.entries for half in HALVES_OF[each.way]):
                    assert (number, half) not in done
                    done[number, half] = (at, batch, position)

    assert set(done) == {(each.number, half) for each in [*beside, *foreign] for half in (1, 2)}
    marks = [each.mark for stage in stages for each in slices(stage)]
    assert len(marks) == len(set(marks))
    for each in beside:
        assert done[each.number, 1][0] <= done[each.number, 2][0]
        for other in each.depends_on:
            if (other, 2) in done:
                assert done[other, 2][0] < done[each.number, 1][0]


def test_views_are_refreshed_after_those_that_they_read_through_whatever_else() -> None:
    entries = [
        entry(1, "MATERIALIZED VIEW", "a"),
        entry(2, "VIEW", "through", 1),
        entry(3, "MATERIALIZED VIEW", "b", 2),
        entry(4, "MATERIALIZED VIEW", "c"),
        entry(5, "FUNCTION", "f", 3),
        entry(6, "MATERIALIZED VIEW", "d", 5, 4),
    ]
    wanted = [TableName("app", name) for name in ("d", "c", "b", "a", "unheard of")]

    levels = refresh_levels(entries, wanted)

    assert [[name.name for name in level] for level in levels] == [["c", "a"], ["b"], ["d"]]


def test_a_deep_pile_of_views_is_cut_off() -> None:
    entries = [entry(n, "MATERIALIZED VIEW", f"v{n}", *([n - 1] if n else [])) for n in range(MOST_LEVELS + 5)]

    levels = refresh_levels(entries, [TableName("app", f"v{n}") for n in range(MOST_LEVELS + 5)])

    assert len(levels) == MOST_LEVELS
