"""What the demo's report says is proven, and what is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast_local.demo.report import FAILED, NOT_PROVEN, PROVEN, Check, Report, Table, differences
from holdfast_local.demo.timeline import Timeline


def table(**changed: dict[str, Any]) -> Table:
    stations: dict[str, Any] = {
        "rows": {"source": 3, "archive": 3, "restored": 3},
        "digest": {"source": "aa", "archive": "aa", "restored": "aa"},
        "by_sql": {"source": "7", "restored": "7"},
    }
    return Table(name="public.users", **{name: {**stations[name], **changed.get(name, {})} for name in stations})


def report(*tables: Table, checks: tuple[Check, ...] = (), error: str = "") -> Report:
    made = Report(started_at=datetime(2026, 1, 31, tzinfo=UTC), versions={}, tables=[*tables], checks=[*checks])
    made.error = error
    made.judge()
    return made


@pytest.mark.parametrize(
    ("changed", "equal"),
    [
        pytest.param({}, True, id="all stations agree"),
        pytest.param({"rows": {"restored": 2}}, False, id="a row is missing after the restore"),
        pytest.param({"rows": {"archive": 4}}, False, id="a row too many in the archive"),
        pytest.param({"digest": {"source": "bb"}}, False, id="the source held something else"),
        pytest.param({"by_sql": {"restored": "8"}}, False, id="only the second digest differs"),
        pytest.param({"rows": dict.fromkeys(("source", "archive", "restored"))}, False, id="nobody has the table"),
        pytest.param({"digest": {"archive": None}}, False, id="the archive lacks it"),
    ],
)
def test_a_table_is_equal_only_when_every_station_agrees(changed: dict[str, Any], equal: bool) -> None:
    assert table(**changed).equal is equal


@pytest.mark.parametrize(
    ("made", "status"),
    [
        pytest.param(report(table()), PROVEN, id="everything is equal"),
        pytest.param(report(table(), table(rows={"restored": 2})), NOT_PROVEN, id="one table differs"),
        pytest.param(report(table(), checks=(Check("No lock is left", False),)), NOT_PROVEN, id="a check failed"),
        pytest.param(report(), FAILED, id="nothing was compared"),
        pytest.param(report(table(), error="The restore failed."), FAILED, id="something was raised"),
    ],
)
def test_only_what_is_wholly_proven_counts(made: Report, status: str) -> None:
    assert made.status == status
    assert bool(made.faults) is (status != PROVEN and bool(made.tables or made.error))


def test_the_document_has_what_programs_look_for() -> None:
    made = report(table(), checks=(Check("The schema is the same", True),))
    timeline = Timeline()
    with timeline.step("Restore and prove") as step:
        step.bytes = 1000
    made.steps = timeline.steps

    document = json.loads(made.as_json())

    assert document["status"] == "proven"
    assert document["tables"][0]["digest"] == {"source": "aa", "archive": "aa", "restored": "aa"}
    assert document["tables"][0]["equal"] is True
    assert document["steps"][0]["name"] == "Restore and prove"
    assert document["steps"][0]["seconds"] >= 0
    assert document["steps"][0]["bytes_per_second"] > 0
    assert {"bytes", "versions", "checks", "faults", "point", "restore"} <= document.keys()


def test_schemas_are_compared_line_by_line() -> None:
    said = differences(["CREATE TABLE a ();", "CREATE INDEX i;"], ["CREATE TABLE a ();"])

    assert said == "1 lines are missing and 0 are new, for example: CREATE INDEX i;"
    assert not differences(["x"], ["x"])
