"""The rules by which a restore is cut into stages, batches and slices."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from holdfast.contracts.restoring import FinishBatch, SliceDocument
from holdfast.model.building import LARGE_TABLE, SMALL_SLICE
from holdfast.model.comparing import compare_schemas, compare_values
from holdfast.model.database_entries import database_statements
from holdfast.model.restoring import SLICE_ENTRIES, SchemaPlan, plan_schema
from holdfast.model.slices import StagePlan, batch_limit, pack
from holdfast.model.tables import TableName
from holdfast.model.toc import Section, TocEntry
from holdfast.usecases.restore.batching import join_single_batches
from holdfast.usecases.restore.prove import share

_NUMBERS = count(1)
SECTIONS = {
    **dict.fromkeys(["TABLE", "SCHEMA", "EXTENSION", "TABLE ATTACH", "DATABASE"], Section.PRE_DATA),
    **dict.fromkeys(["ACL", "COMMENT"], Section.NONE),
    "SEQUENCE SET": Section.DATA,
}


def entry(kind: str, tag: str = "x", *depends_on: TocEntry, schema: str = "app", owner: str = "me") -> TocEntry:
    return TocEntry(
        number=next(_NUMBERS),
        kind=kind,
        tag=tag,
        section=SECTIONS.get(kind, Section.POST_DATA),
        schema=schema,
        owner=owner,
        depends_on=tuple(other.number for other in depends_on),
    )


def planned(*entries: TocEntry, sizes: dict[str, int] | None = None, superuser: bool = True) -> SchemaPlan:
    table_bytes = {TableName("app", name): size for name, size in (sizes or {}).items()}
    return plan_schema(entries, table_bytes=table_bytes, superuser=superuser, foreign_roles=frozenset({"cloud_admin"}))


def numbers(stage: StagePlan) -> list[list[tuple[int, ...]]]:
    return [[piece.entries for piece in batch] for batch in stage.batches]


def test_tables_come_before_rows_and_what_is_built_on_them_after() -> None:
    table = entry("TABLE", "t")
    key = entry("CONSTRAINT", "t t_pkey", table)
    foreign, trigger = entry("FK CONSTRAINT", "t f", table, key), entry("TRIGGER", "t g", table)
    acl, event = entry("ACL", "TABLE t", table), entry("EVENT TRIGGER", "e")

    plan = planned(table, acl, key, trigger, foreign, event)

    assert [piece.entries for piece in plan.before] == [(table.number,)]
    assert numbers(plan.indexes[0]) == [[(key.number,)]]
    assert numbers(plan.definitions[0]) == [[(trigger.number,)]]
    assert numbers(plan.foreign_keys[0]) == [[(foreign.number,)]]
    assert numbers(plan.grants) == [[(acl.number,)]]
    assert numbers(plan.event_triggers) == [[(event.number,)]]


def test_a_comment_goes_with_what_it_is_about() -> None:
    table = entry("TABLE", "t")
    index = entry("INDEX", "i", table)
    trigger = entry("TRIGGER", "g", table)
    about = [entry("COMMENT", f"on {other.tag}", other) for other in (table, index, trigger)]

    plan = planned(table, about[0], index, about[1], trigger, about[2])

    assert plan.before[0].entries == (table.number, about[0].number)
    assert numbers(plan.indexes[0]) == [[(index.number, about[1].number)]]
    assert numbers(plan.definitions[0]) == [[(trigger.number, about[2].number)]]


def test_an_index_follows_the_one_it_depends_on_a_stage_later() -> None:
    parent, child = entry("TABLE", "p"), entry("TABLE", "c")
    of_parent = entry("INDEX", "pi", parent)
    of_child = entry("INDEX", "ci", child, of_parent)

    plan = planned(parent, child, of_parent, of_child)

    assert [stage.name for stage in plan.indexes] == ["indexes-0", "indexes-1"]
    assert numbers(plan.indexes[1]) == [[(of_child.number,)]]


def test_an_index_of_something_that_is_defined_after_rows_waits_for_it() -> None:
    view = entry("MATERIALIZED VIEW", "late")
    index = entry("INDEX", "i", view)

    plan = planned(view, index)

    assert plan.indexes == ()
    assert numbers(plan.definitions[0]) == [[(view.number, index.number)]]


def test_a_large_tables_indexes_are_built_side_by_side_and_its_constraints_in_turn() -> None:
    table = entry("TABLE", "big")
    excluding = [entry("CONSTRAINT", f"big k{n}", table) for n in range(2)]
    indexes = [entry("INDEX", f"i{n}", table) for n in range(2)]

    plan = planned(table, *excluding, *indexes, sizes={"big": LARGE_TABLE})

    assert numbers(plan.indexes[0]) == [[(indexes[0].number,)], [(indexes[1].number,)]]
    assert numbers(plan.indexes[1]) == [[(excluding[0].number,), (excluding[1].number,)]]


def test_a_table_just_not_large_shares_a_transaction_with_others() -> None:
    tables = [entry("TABLE", f"t{n}") for n in range(3)]
    indexes = [entry("INDEX", f"i{n}", table) for n, table in enumerate(tables)]

    plan = planned(*tables, *indexes, sizes={"t0": LARGE_TABLE - 1})

    assert numbers(plan.indexes[0]) == [[(indexes[0].number,)], [(indexes[1].number, indexes[2].number)]]


def test_a_partitioned_table_weighs_what_its_partitions_weigh() -> None:
    parent, child = entry("TABLE", "p"), entry("TABLE", "c")
    attached = entry("TABLE ATTACH", "c", parent, child)
    foreign = [entry("FK CONSTRAINT", f"p f{n}", parent) for n in range(2)]

    plan = planned(parent, child, attached, *foreign, sizes={"c": LARGE_TABLE})

    assert [stage.name for stage in plan.foreign_keys] == ["foreign-key-checks"]
    assert numbers(plan.foreign_keys[0]) == [[(foreign[0].number,)], [(foreign[1].number,)]]


def test_the_foreign_keys_of_small_tables_are_made_in_turn() -> None:
    table = entry("TABLE", "t")
    foreign = [entry("FK CONSTRAINT", f"t f{n}", table) for n in range(SMALL_SLICE + 1)]

    plan = planned(table, *foreign)

    assert [len(batch) for batch in plan.foreign_keys[0].batches] == [2]


@pytest.mark.parametrize(
    ("entries", "slices"),
    [
        pytest.param(SLICE_ENTRIES, 1, id="exactly one slice"),
        pytest.param(SLICE_ENTRIES + 1, 2, id="one too many"),
        pytest.param(SLICE_ENTRIES * 500, 400, id="so many that slices grow"),
    ],
)
def test_definitions_are_cut_into_slices_that_few_invocations_run(entries: int, slices: int) -> None:
    plan = planned(*(entry("TABLE", f"t{n}") for n in range(entries)))

    assert len(plan.before) == slices


def test_marks_are_unique() -> None:
    tables = [entry("TABLE", f"t{n}") for n in range(SLICE_ENTRIES * 2)]
    rest = [entry(kind, f"{kind}{n}", table) for n, table in enumerate(tables) for kind in ("INDEX", "TRIGGER", "ACL")]
    plan = planned(*tables, *rest)
    stages = (*plan.indexes, *plan.definitions, *plan.foreign_keys, plan.grants)

    marks = [piece.mark for piece in plan.before]
    marks += [piece.mark for stage in stages for batch in stage.batches for piece in batch]

    assert len(marks) == len(set(marks))


@pytest.mark.parametrize(
    ("left_out", "superuser"),
    [
        pytest.param(entry("DATABASE", "shop"), True, id="the database"),
        pytest.param(entry("SEQUENCE SET", "s"), True, id="sequence values, which the manifest has"),
        pytest.param(entry("ACL", "DATABASE shop"), True, id="grants on the database"),
        pytest.param(entry("COMMENT", "EXTENSION x"), False, id="an extension's comment without being its owner"),
        pytest.param(entry("DEFAULT ACL", "DEFAULT", owner="cloud_admin"), False, id="a provider's defaults"),
        pytest.param(entry("SCHEMA", "holdfast_restore"), True, id="marks of an earlier restore"),
        pytest.param(entry("TABLE", "marks", schema="holdfast_restore"), True, id="tables of an earlier restore"),
    ],
)
def test_some_entries_are_never_run(left_out: TocEntry, superuser: bool) -> None:
    table = entry("TABLE", "t")

    plan = planned(left_out, table, superuser=superuser)

    assert plan.restored == (table.number,)


def test_what_is_left_out_against_expectation_is_told_with_its_reason() -> None:
    plan = planned(entry("DEFAULT ACL", "FOR TABLES", owner="cloud_admin"), superuser=False)

    assert plan.left_out == (("default acl app.FOR TABLES", "Only cloud_admin may change its default privileges."),)


@pytest.mark.parametrize(
    ("weights", "limit", "most", "groups"),
    [
        pytest.param([], 10, 5, [], id="nothing"),
        pytest.param([4, 6], 10, 5, [[4, 6]], id="exactly full"),
        pytest.param([4, 7], 10, 5, [[4], [7]], id="just too heavy"),
        pytest.param([99, 1, 1], 10, 5, [[99], [1, 1]], id="one heavier than all"),
        pytest.param([0] * 5, 10, 2, [[0, 0], [0, 0], [0]], id="too many"),
    ],
)
def test_packs_in_order(weights: list[int], limit: int, most: int, groups: list[list[int]]) -> None:
    assert [list(group) for group in pack(weights, lambda weight: weight, limit, most)] == groups


@pytest.mark.parametrize(
    ("total", "limit"),
    [
        pytest.param(0, 64, id="nothing"),
        pytest.param(64 * 16, 64, id="small: the least"),
        pytest.param(16 * 100, 100, id="several batches for each worker"),
        pytest.param(10**6, 1024, id="large: the most"),
        pytest.param(9000 * 2000, 2000, id="so large that the Map would have too many items"),
    ],
)
def test_batches_are_neither_tiny_nor_too_many(total: int, limit: int) -> None:
    assert batch_limit(total, 4, least=64, most=1024) == limit


@pytest.mark.parametrize("blocks", [0, 1, 7, 100])
@pytest.mark.parametrize("parts", [1, 3, 8])
def test_shares_cover_every_block_once(blocks: int, parts: int) -> None:
    shares = [share(blocks, part, parts) for part in range(parts)]

    assert shares[0][0] == 0
    assert shares[-1][1] is None
    assert [end for _, end in shares[:-1]] == [first for first, _ in shares[1:]]


def batch(stage: str, number: int, *marks: str) -> FinishBatch:
    return FinishBatch(stage=stage, batch=number, slices=tuple(SliceDocument(mark=mark, what=mark) for mark in marks))


def test_neighbouring_stages_of_one_batch_are_joined_in_order() -> None:
    stages = {"a": [batch("a", 0, "1")], "b": [batch("b", 0, "2")], "c": [batch("c", 0, "3"), batch("c", 1, "4")]}
    stages |= {"d": [batch("d", 0, "5")]}

    joined = join_single_batches(stages)

    assert list(joined) == ["a--b", "c", "d"]
    assert [piece.mark for piece in joined["a--b"][0].slices] == ["1", "2"]
    assert joined["a--b"][0].stage == "a--b"


def test_schemas_in_another_order_and_with_other_numbers_are_equal() -> None:
    one, two = entry("TABLE", "a"), entry("TABLE", "b")
    again = [entry("TABLE", "b"), entry("TABLE", "a")]

    found = compare_schemas([one, two], again)

    assert (found.missing, found.extra, found.other) == ((), (), ())


@pytest.mark.parametrize(
    ("definition", "statements"),
    [
        pytest.param("ALTER DATABASE shop SET a TO 'b';\n", ["ALTER DATABASE \"new\" SET a TO 'b'"], id="a setting"),
        pytest.param(
            'GRANT CONNECT,TEMPORARY ON DATABASE "a;\n""b" TO me;\nREVOKE ALL ON DATABASE "a;\n""b" FROM you;\n',
            ['GRANT CONNECT,TEMPORARY ON DATABASE "new" TO me', 'REVOKE ALL ON DATABASE "new" FROM you'],
            id="an odd name",
        ),
        pytest.param(
            "COMMENT ON DATABASE shop IS 'DATABASE shop;\nit''s';\n",
            ["COMMENT ON DATABASE \"new\" IS 'DATABASE shop;\nit''s'"],
            id="a value like a statement",
        ),
        pytest.param(
            "ALTER ROLE \"a b\" IN DATABASE shop SET x TO E'\\\\;\n'';\n';\n",
            ["ALTER ROLE \"a b\" IN DATABASE \"new\" SET x TO E'\\\\;\n'';\n'"],
            id="a role's setting",
        ),
        pytest.param("UPDATE pg_database SET x;\n", [], id="something else"),
    ],
)
def test_what_is_said_of_the_database_is_said_of_the_new_one(definition: str, statements: list[str]) -> None:
    about = replace(entry("DATABASE PROPERTIES", "shop"), definition=definition)

    assert list(database_statements([about], '"new"')) == statements


def test_values_are_compared_by_name() -> None:
    sentences = list(compare_values("sequence", {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 9, "d": 4}))

    assert sentences == [
        "The sequence b is 9, not 2.",
        "The sequence c is missing.",
        "The sequence d is not in the archive.",
    ]


def test_a_label_of_the_database_is_told_for_its_new_name() -> None:
    label = replace(
        entry("SECURITY LABEL", "DATABASE shop"), definition="SECURITY LABEL FOR selinux ON DATABASE shop IS 'x';\n"
    )

    statements = list(database_statements([label], '"again"'))

    assert statements == ["SECURITY LABEL FOR selinux ON DATABASE \"again\" IS 'x'"]
