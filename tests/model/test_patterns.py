"""Patterns of names become the regular expressions that psql and pg_dump make of them."""

from __future__ import annotations

import pytest

from holdfast.model.patterns import schema_pattern, table_pattern


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
