"""Events are delivered at least once: whatever is invoked a second time answers the same and doubles nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import Permanent
from holdfast.model.points import PointState
from twice.pipeline import Pipeline

pytestmark = pytest.mark.xdist_group("twice")
FUNCTIONS = Path(__file__).parents[2] / "functions"
CASES = (
    "restore.assess",
    "restore.compare",
    "restore.finish",
    "restore.load",
    "restore.prepare",
    "restore.prove",
    "restore.report",
    "restore.validate",
    "retention.collect",
    "retention.prune",
    "snapshot.abandon",
    "snapshot.capture",
    "snapshot.dump",
    "snapshot.fail",
    "snapshot.hold",
    "snapshot.plan",
    "snapshot.seal",
    "snapshot.start",
    "verify.check",
    "verify.conclude",
    "verify.plan",
)


AT_PROVIDERS = {"retention.protect", "retention.sweep", "snapshot.freeze", "snapshot.thaw"}
"""These are asked again and again until a provider is done: their own tests do nothing else."""
COMPARING = {"catalogue.rebuild", "monitor.replication"}
"""These compare two places and note what they find: their own tests repeat them."""


def test_every_function_has_a_case() -> None:
    found = {f"{path.parent.name}.{path.stem}" for path in FUNCTIONS.glob("*/*.py") if path.stem != "__init__"}

    assert found == {*CASES, *AT_PROVIDERS, *COMPARING}


@pytest.mark.parametrize("name", CASES)
def test_a_function_that_is_invoked_again_answers_the_same_and_changes_nothing(again: Pipeline, name: str) -> None:
    called = again.of(name)

    if name == "snapshot.hold":
        # Nobody reads what a function answers to an event: its answer is the token's.
        assert not any(second.released for _, second in called.answers)
    else:
        assert all(_said(first) == _said(second) for first, second in called.answers)
    assert called.found
    for before, after in zip(called.found[::2], called.found[1::2], strict=True):
        assert before == after


@pytest.mark.parametrize("name", CASES)
def test_two_invocations_at_once_answer_the_same_and_leave_what_one_leaves(
    once: Pipeline, at_once: Pipeline, name: str
) -> None:
    called = at_once.of(name)

    if name == "snapshot.hold":
        assert sorted(answer.released for answer in called.answers[0]) == [False, True]
        assert [token for token, *_ in at_once.rig.executions.answers] == ["token"]
    else:
        assert all(_said(first) == _said(second) for first, second in called.answers)
    assert called.found
    assert called.found == once.of(name).found


@pytest.mark.parametrize("way", ["once", "again", "at_once"])
def test_the_whole_way_ends_proven_with_nothing_left_open(request: pytest.FixtureRequest, way: str) -> None:
    pipeline: Pipeline = request.getfixturevalue(way)
    points = pipeline.rig.points.points

    assert sorted(point.state for point in points.values()) == [PointState.FAILED, PointState.PROVEN]
    assert pipeline.of("restore.compare").answers[0][0].differences == ()
    assert pipeline.of("restore.report").answers[0][0].succeeded
    assert pipeline.of("retention.collect").answers[0][0].removed.versions == 1
    assert pipeline.afterwards["locks"] == (0, 0)
    assert pipeline.rig.holds.holds == {}
    assert pipeline.afterwards["sessions"] == []
    assert set(pipeline.afterwards["archive"].values()) == {1}, "every object is stored once"


@pytest.mark.parametrize("name", CASES)
def test_what_is_invoked_when_all_is_over_answers_the_same_or_refuses(again: Pipeline, name: str) -> None:
    called = again.of(name)

    assert len(called.late) == len(called.answers)
    for (first, _), late in zip(called.answers, called.late, strict=True):
        ended = name == "snapshot.hold" and not late.released  # nobody reads it
        ended |= name == "snapshot.capture" and late.done  # it goes on from where it is
        assert ended or isinstance(late, Permanent) or _said(late) == _said(first)


def test_what_is_invoked_when_all_is_over_changes_nothing(again: Pipeline) -> None:
    before, after = again.of("late").found

    assert before == after


def _said(answer: Any) -> Any:
    """Return what an answer says, but for how long it took, and who was the first to find a point intact."""
    if answer is None:
        return None
    said = answer.model_dump(mode="json")
    for timely in ("sentence", "bytes_read", "bytes_beside", "first"):
        if timely in said:
            said[timely] = ""
    return said
