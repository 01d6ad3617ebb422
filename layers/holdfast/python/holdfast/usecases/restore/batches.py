"""Do a batch at most once: its result document says that all of it is done."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from holdfast.contracts.message import Contract
from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.restoring import BatchResult
from holdfast.model.keys import RunKeys
from holdfast.usecases.restore.world import World

Batch = TypeVar("Batch", bound=Contract)
Result = TypeVar("Result", bound=BatchResult)
_READERS = 16


def read_batch(kind: type[Batch], request: BatchRequest, world: World) -> Batch | None:
    """Return what the batch has to do, or nothing when it is done already."""
    keys = RunKeys("restore", request.restore_id)
    if world.scratch.read(keys.result(request.stage, request.batch)) is not None:
        return None
    return world.read(kind, request.restore_id, keys.batch(request.stage, request.batch))


def write_result(result: BatchResult, request: BatchRequest, world: World) -> None:
    """Record that the batch is done."""
    world.write(RunKeys("restore", request.restore_id).result(request.stage, request.batch), result)


def read_results(kind: type[Result], restore_id: str, stage: str, world: World) -> Iterator[Result]:
    """Yield the results of a stage's batches, those that there are."""
    # The keys of results differ in their last part only.
    prefix = RunKeys("restore", restore_id).result(stage, 0).rsplit("/", 1)[0] + "/"
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(lambda key: world.read(kind, restore_id, key), world.scratch.keys(prefix))
