"""The functions themselves: what they take, and that they are thin."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.errors import BadRequest

FUNCTIONS = Path(__file__).parents[2] / "functions" / "restore"
STEPS = ["assess", "compare", "finish", "load", "prepare", "prove", "report", "validate"]


def handler_of(step: str) -> Callable[[object, Any], Any]:
    spec = importlib.util.spec_from_file_location(f"functions_restore_{step}", FUNCTIONS / f"{step}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[object, Any], Any] = module.handler
    return found


@pytest.fixture
def context() -> SimpleNamespace:
    return SimpleNamespace(
        function_name="restore",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:eu-central-1:1:function:restore",
        aws_request_id="1",
        get_remaining_time_in_millis=lambda: 1000,
    )


def test_every_step_has_a_function() -> None:
    assert sorted(path.stem for path in FUNCTIONS.glob("*.py")) == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_a_request_that_makes_no_sense_is_refused_by_the_name_of_its_fields(step: str, context: Any) -> None:
    with pytest.raises(BadRequest, match="unheard_of is not a known field"):
        handler_of(step)({"unheard_of": 1}, context)


def test_an_assessment_needs_a_name_for_the_new_database(context: Any) -> None:
    event = {"database": "shop", "execution": "arn:x:1", "execution_started_at": "2026-01-31T12:00:00Z"}

    with pytest.raises(BadRequest, match="into is missing"):
        handler_of("assess")(event, context)
