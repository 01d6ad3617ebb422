"""
What a restore is going to do, told as soon as it has been assessed, and before anything is touched.

It is read from the scratch bucket, and tolerantly: whoever may not read it there still sees the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from holdfast.contracts.restoring import RestorePlan
from holdfast.errors import HoldfastError
from holdfast.model.keys import RunKeys
from holdfast.model.points import Kind
from holdfast.usecases.restore.naming import restore_id_of
from holdfast_cli import words

if TYPE_CHECKING:
    from holdfast.ports.storage import Scratch

PLAN = "plan.json"
_FACTS = {
    "database",
    "point_id",
    "point_state",
    "taken_at",
    "planned_at",
    "loses_seconds",
    "into",
    "target",
    "target_version",
    "source_version",
    "database_exists",
    "tables",
    "rows",
    "bytes_plain",
    "bytes_stored",
    "chunks",
}


class Planned:
    """Reads the plan of one restore, until it is there."""

    def __init__(self, scratch: Callable[[], Scratch], execution: str) -> None:
        self._scratch, self._key = scratch, RunKeys("restore", restore_id_of(execution)).document(PLAN)
        self._lines: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """Return the plan for people; nothing before the restore has been assessed."""
        if not self._lines and (plan := self.plan()):
            self._lines = tuple(_lines(plan))
        return self._lines

    def plan(self) -> RestorePlan | None:
        """Return the plan, if it is there and can be read: rights, network and version may be in the way."""
        try:
            body = self._scratch().read(self._key)
            return RestorePlan.model_validate_json(body) if body else None
        except (HoldfastError, ClientError, BotoCoreError, ValidationError):
            return None


def facts_of(plan: RestorePlan) -> dict[str, Any]:
    """Return what programs need of the plan; what it says to the functions is left out."""
    return plan.model_dump(mode="json", include=_FACTS) | {"only": plan.part.words, "notes": list(plan.notes)}


def _lines(plan: RestorePlan) -> Iterator[str]:
    yield f"The plan: {plan.database} from {plan.point_id} ({plan.point_state}) into {plan.into} on {plan.target}"
    yield f"  point     taken {words.clock(plan.taken_at)}"
    yield f"  lost      what was written since then: {words.duration(max(plan.loses_seconds, 0))} of changes"
    yield f"  target    PostgreSQL {words.major(plan.target_version)}, {_home(plan)}"
    yield f"  restored  {_amount(plan)}"
    yield from (f"  note      {note}" for note in plan.notes)


def _home(plan: RestorePlan) -> str:
    if plan.part.rows_only:
        return f"empty tables of the database {plan.into}"
    return f"the empty database {plan.into}" if plan.database_exists else f"a new database {plan.into}"


def _amount(plan: RestorePlan) -> str:
    only = f"only {plan.part.words}: " if plan.part.words else ""
    if plan.part.kind == Kind.SCHEMA:
        return f"{only}definitions, and no rows"
    only += "only rows; " if plan.part.kind == Kind.DATA else ""
    return (
        f"{only}{words.counted(plan.tables, 'table')}, {words.counted(plan.rows, 'row')}, "
        f"{words.size(plan.bytes_plain)} as text, {words.size(plan.bytes_stored)} to read"
    )
