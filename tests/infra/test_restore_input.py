"""What a person may give the restore machine: the schema, the page and the contract say the same."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from holdfast import errors
from holdfast.contracts.restore import RestoreRequest
from holdfast_infra.restore_input import FILE, schema, text

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "restore-input.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]

REFUSED = [
    pytest.param({"into": "x"}, id="no database"),
    pytest.param({"database": "shop"}, id="no name for the new database"),
    pytest.param({"database": "shop", "into": ""}, id="an empty name"),
    pytest.param({"database": "shop", "into": "x" * 64}, id="a name that PostgreSQL would cut"),
    pytest.param({"database": "shop", "into": "x", "piont": "latest"}, id="a field with a typing error"),
    pytest.param({"database": "shop", "into": "x", "point": 7}, id="a point that is a number"),
    pytest.param({"database": "shop", "into": "x", "kind": "rows"}, id="a kind that there is not"),
    pytest.param({"database": "shop", "into": "x", "tables": [""]}, id="a table without a name"),
    pytest.param({"database": "shop", "into": "x", "tables": "users"}, id="a table that is no list"),
]


def accepted_by_the_contract(given: dict[str, Any]) -> bool:
    """Answer whether the first state's contract takes *given* with what the machine adds."""
    try:
        RestoreRequest(**given, execution="arn", execution_started_at=datetime(2026, 1, 1, tzinfo=UTC))
    except ValidationError:
        return False
    return True


def test_the_committed_schema_is_the_contract_s() -> None:
    assert FILE.read_text(encoding="utf-8") == text()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_page_s_examples_are_accepted(example: dict[str, Any]) -> None:
    assert Draft202012Validator(schema()).is_valid(example)
    assert accepted_by_the_contract(example)


@pytest.mark.parametrize("given", REFUSED)
def test_schema_and_contract_refuse_the_same(given: dict[str, Any]) -> None:
    assert not Draft202012Validator(schema()).is_valid(given)
    assert not accepted_by_the_contract(given)


def test_the_page_has_a_row_for_each_field() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))

    assert len(EXAMPLES) == 3
    assert set(schema()["properties"]) <= rows


def test_the_page_names_errors_that_exist() -> None:
    (table,) = re.findall(r"\| error \| what to do \|\n(.*?)\n\n", PAGE, re.DOTALL)

    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert named
    assert all(hasattr(errors, name) for name in named)
