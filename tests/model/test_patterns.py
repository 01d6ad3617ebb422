"""Patterns of names become the regular expressions that psql and pg_dump make of them."""

from __future__ import annotations

import pytest

from holdfast.model.patterns import match, schema_pattern, table_pattern
from holdfast.model.tables import TableName


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        pytest.param("users", None, "^(users)$", id="a name"),
        pytest.param("Users", None, "^(users)$", id="letters are folded"),
        pytest.param('"Users"', None, "^(Users)$", id="unless quoted"),
        pytest.param('us"E"rs', None, "^(usErs)$", id="quoted in part"),
        pytest.param("app.*", "^(app)$", "^(.*)$", id="any text"),
        pytest.param("a?p.x*y", "^(a.p)$", "^(x.*y)$", id="any character"),
        pytest.param('"a.b".c', r"^(a\.b)$", "^(c)$", id="a quoted dot separates nothing"),
        pytest.param("cost$", None, r"^(cost\$)$", id="a dollar is itself"),
        pytest.param('"cost$*"', None, r"^(cost\$\*)$", id="quoted, a star is itself"),
        pytest.param("log_[0-9]+|audit", None, "^(log_[0-9]+|audit)$", id="regular expressions keep their meaning"),
        pytest.param("a[]", None, r"^(a\[])$", id="brackets of an array are themselves"),
        pytest.param('"say ""hi"""', None, '^(say "hi")$', id="a quotation mark is written twice"),
        pytest.param("GRÖSSE", None, "^(grÖsse)$", id="letters beyond ASCII stay"),
    ],
)
def test_a_pattern_of_tables_is_read_as_psql_reads_it(text: str, schema: str | None, name: str) -> None:
    found = table_pattern(text)

    assert (found.schema, found.name) == (schema, name)


@pytest.mark.parametrize("text", ["", ".", "app.", "a.b.c", '"open', 'app."'])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"names nothing|more parts|not closed"):
        table_pattern(text)


def test_a_pattern_of_schemas_has_one_part() -> None:
    assert schema_pattern("App*").name == "^(app.*)$"
    with pytest.raises(ValueError, match="more parts"):
        schema_pattern("app.users")


NAMES = [TableName(*each) for each in (
    ("public", "users"), ("public", "users\n"), ("public", "log_1"), ("public", "log_x"), ("app", "users"),
    ("app", "a.b"), ("public", "cost$"), ("public", "tags[]"), ("public", "Users"),
)]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("users", ["public.users"], id="a name is one of public"),
        pytest.param("USERS", ["public.users"], id="letters are folded"),
        pytest.param('"Users"', ["public.Users"], id="unless quoted"),
        pytest.param("*.users", ["public.users", "app.users"], id="in any schema"),
        pytest.param("users?", ["public.users\n"], id="any character"),
        pytest.param("log_[0-9]|cost$", ["public.log_1", "public.cost$"], id="an expression"),
        pytest.param('app."a.b"', ["app.a.b"], id="a quoted dot"),
        pytest.param("tags[]", ["public.tags[]"], id="brackets of an array"),
    ],
)
def test_names_are_matched_as_a_server_does(text: str, expected: list[str]) -> None:
    found, unmatched = match(NAMES, [table_pattern(text), table_pattern("nobody")])

    assert sorted(f"{each.schema}.{each.name}" for each in found) == sorted(expected)
    assert unmatched == ("nobody",)


@pytest.mark.parametrize("text", [r"a\d", "[[:alpha:]]", "(a", "[[a]", "[a--b]"])
def test_expressions_that_only_a_server_reads_alike_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="that only a server can read"):
        match(NAMES, [table_pattern(text)])
