"""End a restore: write its report, give the target back, and count the point as proven if it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from pydantic import ConfigDict

from holdfast.contracts.restore import Report, ReportRequest, Validation
from holdfast.contracts.restoring import BatchResult, BytesRead, Comparison, Rates, RestorePlan, RestoreReport, Step
from holdfast.errors import ArchiveDamaged, SignatureInvalid
from holdfast.model.keys import RunKeys
from holdfast.model.points import Kind, PointState, may_become
from holdfast.usecases.restore.batches import read_results
from holdfast.usecases.restore.batching import LATE_ROWS
from holdfast.usecases.restore.compare import COMPARISON
from holdfast.usecases.restore.fetching import REMEDY
from holdfast.usecases.restore.naming import restore_id_of
from holdfast.usecases.restore.telling import SHOWN, notes_of, notes_of_batches
from holdfast.usecases.restore.validate import VALIDATION
from holdfast.usecases.restore.wholeness import give_up
from holdfast.usecases.restore.world import PLAN, READING, World

REPORT = "report.json"
_DAMAGE = {error.__name__: error.hint for error in (ArchiveDamaged, SignatureInvalid)}
_OF_KIND: dict[str, str] = {Kind.SCHEMA: "no rows", Kind.DATA: "only rows"}


def report(request: ReportRequest, world: World) -> Report:
    """Write the report of a restore that succeeded or failed, wherever it got to; may be repeated."""
    restore_id = request.restore_id or restore_id_of(request.execution)
    keys = RunKeys("restore", restore_id)
    plan = world.find(RestorePlan, keys.document(PLAN))
    comparison = world.find(Comparison, keys.document(COMPARISON))
    validation = world.find(Validation, keys.document(VALIDATION))
    succeeded = not request.error and bool(comparison and comparison.proven and validation and validation.passed)
    now = world.now()
    timeline = tuple(_timeline(plan, comparison, world)) if plan else ()
    notes = (*_damage(request, plan, world), *notes_of(plan, comparison, notes_of_batches(plan, world)))
    sentence = _sentence(plan, comparison, notes, now) if succeeded and plan and comparison else _failure(request, plan)
    read = _bytes_read(restore_id, world)
    found = RestoreReport(
        restore_id=restore_id,
        execution=request.execution,
        database=request.database,
        succeeded=succeeded,
        sentence=sentence,
        error=request.error,
        cause=message_of(request.cause),
        reported_at=now,
        plan=plan,
        comparison=comparison,
        validation=validation,
        notes=notes,
        timeline=timeline,
        rates=_rates(plan, timeline),
        bytes_read=read,
    )
    world.write(keys.document(REPORT), found)
    if succeeded and plan and plan.part.whole:
        _count_as_proven(plan.point_id, now, world)
    state = "succeeded" if succeeded else "failed"
    world.restores.end(restore_id, state=state, sentence=found.sentence, ended_at=now)
    return Report(
        restore_id=restore_id,
        succeeded=succeeded,
        sentence=found.sentence,
        bucket=world.scratch.bucket,
        key=keys.document(REPORT),
        notes=notes[:SHOWN],
        notes_in_all=len(notes),
        bytes_read=read.chunks,
        bytes_beside=read.beside,
        bytes_of_point=plan.bytes_of_point if plan else 0,
    )


def message_of(cause: str) -> str:
    """Return the sentence in *cause*, which Lambda gives as JSON with our message among other things."""
    try:
        found = json.loads(cause)
    except ValueError:
        return cause
    return str(found.get("errorMessage", cause)) if isinstance(found, dict) else cause


def _damage(request: ReportRequest, plan: RestorePlan | None, world: World) -> Iterator[str]:
    """Give the point up when its damage ended the restore, and yield what to do; assessing has said so itself."""
    if plan is None or request.error not in _DAMAGE:
        return
    damage = message_of(request.cause).removesuffix(_DAMAGE[request.error]).removesuffix(REMEDY).strip()
    offer = give_up(world, world.points.get(plan.point_id), damage or request.error)
    yield f"{plan.point_id} is damaged and counts as failed from now on. {offer}"


def _count_as_proven(point_id: str, now: datetime, world: World) -> None:
    """Move the point on, unless somebody found meanwhile that it is damaged or let it expire."""
    if may_become(world.points.get(point_id).state, PointState.PROVEN):
        world.points.advance(point_id, PointState.PROVEN, proven_at=now)


def _bytes_read(restore_id: str, world: World) -> BytesRead:
    """Add up what every invocation read of the archive, those that failed included."""
    keys = world.scratch.keys(RunKeys("restore", restore_id).document(READING))
    return sum((world.read(BytesRead, restore_id, key) for key in keys), BytesRead())


def _sentence(plan: RestorePlan, comparison: Comparison, notes: tuple[str, ...], now: datetime) -> str:
    """Say how it went; "identical" is for what is in everything as in the source, and notes tell what is not."""
    seconds, count = (now - plan.planned_at).total_seconds(), len(notes)
    proven = "proven" if notes else "proven identical"
    parts = [_OF_KIND.get(plan.part.kind, ""), f"only {plan.part.words}" if plan.part.words else ""]
    only = f" ({', '.join(filter(None, parts))})" if any(parts) else ""
    noted = f"; {count} note{'s' if count > 1 else ''}" if notes else ""
    amount = f"{len(comparison.tables)} tables, {plan.rows} rows, {plan.bytes_plain} bytes"
    amount = "definitions alone" if plan.part.kind == Kind.SCHEMA else amount
    return (
        f"{plan.database}{only} was restored from {plan.point_id} into {plan.into} on {plan.target} and {proven}: "
        f"{amount}, in {seconds:.0f} s{noted}."
    )


def _failure(request: ReportRequest, plan: RestorePlan | None) -> str:
    where = f" from {plan.point_id} into {plan.into}" if plan else ""
    why = message_of(request.cause) or request.error or "It did not come to its end."
    return f"The restore of {request.database}{where} failed: {why}"


def _timeline(plan: RestorePlan, comparison: Comparison | None, world: World) -> Iterator[Step]:
    """Yield what was done when, by the results of the batches."""
    last = plan.planned_at
    for stage in plan.stages:
        results = list(read_results(_AnyResult, plan.restore_id, stage.name, world))
        if not results:
            continue
        began = min(result.started_at for result in results)
        if stage.name == "load":
            yield Step(name="prepare", started_at=last, ended_at=began)
        last = max(result.finished_at for result in results)
        yield Step(name=stage.name, started_at=began, ended_at=last)
    if comparison:
        yield Step(name="compare", started_at=min(last, comparison.compared_at), ended_at=comparison.compared_at)


class _AnyResult(BatchResult):
    """A result of any stage, of which only the times matter here."""

    model_config = ConfigDict(extra="ignore")


def _rates(plan: RestorePlan | None, timeline: tuple[Step, ...]) -> Rates:
    if plan is None:
        return Rates()
    seconds = {step.name: (step.ended_at - step.started_at).total_seconds() for step in timeline}
    loading, proving = seconds.get("load", 0.0) + seconds.get(LATE_ROWS, 0.0), seconds.get("prove")
    return Rates(
        load_bytes_per_second=plan.bytes_plain / loading if loading else None,
        prove_bytes_per_second=plan.bytes_plain / proving if proving else None,
    )
