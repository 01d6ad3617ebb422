"""Finish the database after its rows: indexes, constraints, rows that name those, values, grants, statistics."""

from __future__ import annotations

from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.restoring import BatchResult, FinishBatch, RestorePlan
from holdfast.contracts.work import Done
from holdfast.usecases.restore.batches import read_batch, write_result
from holdfast.usecases.restore.load import load_chunks, reserve
from holdfast.usecases.restore.running import run_slices
from holdfast.usecases.restore.world import World


def finish(request: BatchRequest, world: World) -> Done:
    """
    Run one batch of slices, or load one of chunks; may be repeated.

    Raises `StillWorking` while a statement takes longer than an invocation may: the server goes on with it.
    """
    started, least = world.now(), reserve(world)
    batch = read_batch(FinishBatch, request, world)
    if batch is not None:
        plan = world.plan(request.restore_id)
        with world.counting(plan.restore_id, f"{request.stage}-{request.batch}"):
            notes = _do(batch, plan, world, least=least)
        result = BatchResult(batch=batch.batch, started_at=started, finished_at=world.now(), notes=notes)
        write_result(result, request, world)
    return Done()


def _do(batch: FinishBatch, plan: RestorePlan, world: World, *, least: float) -> tuple[str, ...]:
    if batch.chunks:
        load_chunks(batch, plan, world, least=least)
        return ()
    return run_slices(plan, batch.slices, world, stage=batch.stage, batch=batch.batch)
