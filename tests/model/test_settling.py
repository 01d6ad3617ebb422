"""Definitions that a server writes in other words once they were restored."""

from __future__ import annotations

import pytest

from holdfast.model.settling import differs_in_order, settled
from holdfast.model.toc import Section, TocEntry


def entry(definition: str, kind: str = "TABLE") -> TocEntry:
    return TocEntry(number=1, kind=kind, tag="t", section=Section.PRE_DATA, definition=definition)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "CHECK (((v)::text = ANY ((ARRAY['a'::character varying, 'b'',c]'::character varying])::text[])))",
            "CHECK (((v)::text = ANY (ARRAY[('a'::character varying)::text, ('b'',c]'::character varying)::text])))",
            id="in a list of varchar",
        ),
        pytest.param(
            "(v::text = ANY (ARRAY['a'::character varying, 'b'::character varying]::text[]))",
            "(v::text = ANY (ARRAY['a'::character varying::text, 'b'::character varying::text]))",
            id="printed prettily",
        ),
        pytest.param(
            "((ARRAY[lower((a)::text, 'x'), E'b\\'::app.\"d m\"])::text[])",
            "(ARRAY[(lower((a)::text, 'x'))::text, (E'b\\'::app.\"d m\")::text])",
            id="of calls and odd literals",
        ),
        pytest.param(
            "(((ARRAY[(ARRAY[x])::a[], y])::b[]))", "((ARRAY[(ARRAY[(x)::a])::b, (y)::b]))", id="one in another"
        ),
        pytest.param("ARRAY[]::text[]", "ARRAY[]::text[]", id="empty"),
        pytest.param("(ARRAY[1, 2])", "(ARRAY[1, 2])", id="without a cast"),
        pytest.param("f(ARRAY[1, 2])::text[]", "f(ARRAY[1, 2])::text[]", id="the cast of a call"),
    ],
)
def test_casts_of_arrays_are_written_at_their_elements(before: str, after: str) -> None:
    assert settled(entry(before)).definition == after
    assert settled(entry(after)).definition == after


def test_roles_of_a_policy_have_one_order() -> None:
    one = entry(
        'CREATE POLICY "p; TO b" ON s."t" AS RESTRICTIVE FOR SELECT TO reader, "odd "", role" USING (1);', "POLICY"
    )
    other = entry(
        'CREATE POLICY "p; TO b" ON s."t" AS RESTRICTIVE FOR SELECT TO "odd "", role", reader USING (1);', "POLICY"
    )

    assert settled(one) == settled(other)


def test_what_people_wrote_is_kept_to_the_letter() -> None:
    text = "COMMENT ON TABLE t IS '(ARRAY[1])::text[]';"

    assert settled(entry(text, "COMMENT")).definition == text
    body = "CREATE FUNCTION f() AS $$ SELECT (ARRAY[1])::text[] $$;"
    assert settled(entry(body, "FUNCTION")).definition == body


INHERITING = "CREATE TABLE s.t (\n    a integer,\n    b text\n)\nINHERITS (s.p);\n"


@pytest.mark.parametrize(
    ("restored", "same"),
    [
        (INHERITING.replace("a integer,\n    b text", "b text,\n    a integer"), True),
        (INHERITING.replace("a integer,\n    b text", "b text,\n    a bigint"), False),
    ],
)
def test_columns_of_a_table_that_inherits_may_change_places(restored: str, same: bool) -> None:
    assert differs_in_order(entry(INHERITING), entry(restored)) is same


def test_columns_of_other_tables_may_not_change_places() -> None:
    assert not differs_in_order(
        entry("CREATE TABLE t (\n    a int,\n    b int\n);"), entry("CREATE TABLE t (\n    b int,\n    a int\n);")
    )
