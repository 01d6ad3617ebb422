"""Collect what an operator has to know about a restore beside how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import ConfigDict

from holdfast.contracts.restoring import BatchResult, Comparison, RestorePlan
from holdfast.usecases.restore.batches import read_results
from holdfast.usecases.restore.world import World

_WITHOUT_NOTES = {"load", "prove"}
SHOWN = 50
"""Notes in a report's answer, which a state machine passes on; the report itself has all of them."""


def notes_of(
    plan: RestorePlan | None, comparison: Comparison | None, of_batches: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return each note once: what was foreseen, what was left out, what came up, what comparing found."""
    return tuple(dict.fromkeys([*(plan.notes if plan else ()), *of_batches, *(comparison.notes if comparison else ())]))


def notes_of_batches(plan: RestorePlan | None, world: World) -> Iterator[str]:
    """Yield what batches noted that finished the database."""
    if plan is None:
        return
    for stage in plan.stages:
        if stage.name not in _WITHOUT_NOTES:
            for result in read_results(_NotedResult, plan.restore_id, stage.name, world):
                yield from result.notes


class _NotedResult(BatchResult):
    """A result of any stage, of which only the notes matter here."""

    model_config = ConfigDict(extra="ignore")
