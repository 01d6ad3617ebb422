"""
Maps: as many items as AWS allows, and a Distributed Map that fails when its items do.

Corrected here: moto drops the failed items of a Distributed Map and lets it succeed; it recurses once for
each item, so that about a thousand items overflow the stack; and its counts lack the items that wait.
"""

from __future__ import annotations

import logging
from typing import Any

from holdfast_local.cloud import hooks
from holdfast_local.cloud.halting import Halted

COMPONENT = "moto.stepfunctions.parser.asl.component"
MAP = f"{COMPONENT}.state.exec.state_map"
THRESHOLD = "States.ExceedToleratedFailureThreshold"
POLL_SECONDS = 0.05

LOG = logging.getLogger(__name__)


def install() -> None:
    """Correct inline and Distributed Maps."""
    _install_loops()
    _install_failures()
    _install_reasons()
    _install_reader()


def counts_of(record: Any) -> dict[str, int]:
    """Count the items of a map run by state, the waiting ones and the total included."""
    counts = {name: int(count) for name, count in record.item_counter.describe().items()}
    ended = sum(counts[name] for name in ("aborted", "failed", "succeeded", "timedOut"))
    total = max(getattr(record, "items", 0), ended + counts["running"])
    return counts | {"total": total, "pending": total - ended - counts["running"]}


def exceeded(failed: int, *, items: int, count: int, percentage: float) -> bool:
    """
    Decide whether *failed* of *items* are more than a Map tolerates.

    Either threshold may be given; the Map fails when one that is given is passed. None given means
    that none may fail.
    """
    if not count and not percentage:
        return failed > 0
    return bool((count and failed > count) or (percentage and failed * 100 > percentage * items))


def _install_loops() -> None:
    inline = hooks.module(f"{MAP}.iteration.iteration_worker").IterationWorker
    distributed = hooks.module(
        f"{MAP}.iteration.itemprocessor.distributed_item_processor_worker"
    ).DistributedItemProcessorWorker

    def inline_pool(self: Any, job: Any, worker_frame: Any) -> None:
        _work_off(self, job, worker_frame, close="close_frame")

    def distributed_pool(self: Any, job: Any, worker_frame: Any) -> None:
        _work_off(self, job, worker_frame, close="delete_frame")

    for worker, pool in ((inline, inline_pool), (distributed, distributed_pool)):
        hooks.replace(worker, "_eval_pool", pool, expects=("self", "job", "worker_frame"))


def _work_off(worker: Any, job: Any, frame: Any, *, close: str) -> None:
    """Evaluate jobs until there are none. A frame is closed before its last job, since Maps await jobs."""
    while job is not None:
        inner = frame.open_inner_frame()
        worker._eval_job(env=inner, job=job)
        getattr(frame, close)(inner)
        following = None if isinstance(job.job_output, Exception) or worker.stopped() else worker._job_pool.next_job()
        if following is None:
            frame.event_history_context.source_event_id = inner.event_history_context.last_published_event_id
            break
        worker._job_pool.close_job(job)
        job = following
    getattr(worker._env, close)(frame)
    if job is not None:
        worker._job_pool.close_job(job)


def _install_failures() -> None:
    component = hooks.module(f"{MAP}.iteration.distributed_iteration_component")

    def map_run(self: Any, env: Any, eval_input: Any) -> None:
        items = env.stack.pop()
        record = eval_input.map_run_record
        record.items = len(items)
        pool = component.JobPool(job_program=self._get_iteration_program(), job_inputs=items)
        for _ in range(min(record.max_concurrency or len(items), len(items))):
            self._launch_worker(env=env, eval_input=eval_input, job_pool=pool)
        _await_items(env, record, pool, len(items))
        env.stack.append([closed.job_output for closed in pool.get_closed_jobs()])

    hooks.replace(component.DistributedIterationComponent, "_map_run", map_run, expects=("self", "env", "eval_input"))


def _await_items(env: Any, record: Any, pool: Any, items: int) -> None:
    def too_many() -> bool:
        failed = record.item_counter.failed.get() + record.item_counter.timed_out.get()
        count, percentage = record.tolerated_failure_count or 0, record.tolerated_failure_percentage or 0
        return exceeded(failed, items=items, count=count, percentage=percentage)

    while items and not pool._termination_event.wait(POLL_SECONDS) and not too_many():
        if not env.is_running():
            _stop_items(env, pool, Halted())
            raise Halted
    if too_many():
        error = _failure(env, THRESHOLD, "The specified tolerated failure threshold was exceeded")
        _stop_items(env, pool, error)
        raise error
    if pool.get_worker_exception() is not None:
        raise pool.get_worker_exception()


def _stop_items(env: Any, pool: Any, reason: BaseException) -> None:
    """Start no more items and abort those that run; their functions run on, as on AWS."""
    with pool._mutex:
        pool._worker_exception = reason
    for frame in list(env._frames):
        frame.set_stop(stop_date=None, cause=None, error=None)


def _failure(env: Any, name: str, cause: str) -> Exception:
    api = hooks.module("moto.stepfunctions.parser.api")
    events = hooks.module(f"{COMPONENT}.common.error_name.failure_event")
    names = hooks.module(f"{COMPONENT}.common.error_name.error_name")
    details = hooks.module("moto.stepfunctions.parser.asl.eval.event.event_detail")
    failure = events.FailureEvent(
        env=env,
        error_name=names.ErrorName(name),
        event_type=api.HistoryEventType.ExecutionFailed,
        event_details=details.EventDetails(
            executionFailedEventDetails=api.ExecutionFailedEventDetails(error=name, cause=cause)
        ),
    )
    error: Exception = events.FailureEventException(failure)
    return error


def _install_reader() -> None:
    # moto reports a list of items that cannot be read as a mistake of its own, States.Runtime.
    reader = hooks.module(f"{MAP}.item_reader.item_reader_decl").ItemReader
    failed = hooks.module(f"{COMPONENT}.common.error_name.failure_event").FailureEventException

    def eval_body(self: Any, env: Any) -> None:
        try:
            original(self, env)
        except failed:
            raise
        except Exception as error:
            raise _failure(env, "States.ItemReaderFailed", str(error)) from error

    original = hooks.replace(reader, "_eval_body", eval_body, expects=("self", "env"))


def _install_reasons() -> None:
    # A failed item's reason is in its own execution's history on AWS; here it goes to the server's log.
    worker = hooks.module(
        f"{MAP}.iteration.itemprocessor.distributed_item_processor_worker"
    ).DistributedItemProcessorWorker

    def eval_job(self: Any, env: Any, job: Any) -> None:
        original(self, env, job)
        state = env.program_state()
        if getattr(state, "error", None):
            LOG.warning("Item %s of map %s failed: %s", job.job_index, self._work_name, state.error)

    original = hooks.replace(worker, "_eval_job", eval_job, expects=("self", "env", "job"))
