"""Operations: what a Neon project does one after the other, in the background, refusing more meanwhile."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast_local.neon.errors import Refused, missing
from holdfast_local.neon.things import Operation

BUSY = "project already has running conflicting operations, scheduling of new ones is prohibited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation to be: its *action* in Neon's words, and the *work* that it stands for."""

    action: str
    work: Callable[[], None] = lambda: None
    branch_id: str | None = None
    endpoint_id: str | None = None


class Operations:
    """
    The operations of one project, each lasting at least *seconds*.

    A step that fails leaves the rest undone, as `failed` and `cancelled`; `fail_next` makes the next one fail.
    """

    def __init__(self, project_id: str, *, seconds: float) -> None:
        self._project_id, self._seconds = project_id, seconds
        self._known: dict[str, Operation] = {}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[list[tuple[Operation, Step]] | None] = queue.Queue()
        self._fault: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"neon-{project_id}", daemon=True)
        self._thread.start()

    def refuse_while_busy(self) -> None:
        """Raise 423 while anything runs: Neon takes no second change of a project meanwhile."""
        with self._lock:
            if any(each.ended_at is None for each in self._known.values()):
                raise Refused(423, BUSY)

    def schedule(self, steps: Sequence[Step]) -> list[Operation]:
        """Take *steps* in order, and return their operations, which have not begun."""
        now = datetime.now(UTC)
        made = [
            Operation(
                id=str(uuid.uuid4()),
                project_id=self._project_id,
                action=step.action,
                branch_id=step.branch_id,
                endpoint_id=step.endpoint_id,
                created_at=now,
            )
            for step in steps
        ]
        with self._lock:
            self._known |= {each.id: each for each in made}
        self._waiting.put(list(zip(made, steps, strict=True)))
        return made

    def get(self, operation_id: str) -> Operation:
        """Return an operation; raises 404."""
        with self._lock:
            if operation_id not in self._known:
                raise missing("operation")
            return self._known[operation_id]

    def all(self) -> list[Operation]:
        """Return all operations, the newest first."""
        with self._lock:
            return list(reversed(self._known.values()))

    def fail_next(self, message: str) -> None:
        """Let the next operation fail with *message*."""
        self._fault = message

    def stop(self) -> None:
        """End the thread, after what it does at the moment."""
        self._stopped.set()
        self._waiting.put(None)
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while (scheduled := self._waiting.get()) is not None and not self._stopped.is_set():
            failed = False
            for operation, step in scheduled:
                failed = self._skip(operation) if failed else not self._done(operation, step)

    def _done(self, operation: Operation, step: Step) -> bool:
        operation.status = "running"
        time.sleep(self._seconds)
        try:
            fault, self._fault = self._fault, None
            if fault is not None:
                raise RuntimeError(fault)
            step.work()
        except Exception as error:  # noqa: BLE001  # whatever went wrong is the operation's own error
            operation.error, operation.failures_count = str(error), 1
            self._end(operation, "error")
            return False
        self._end(operation, "finished")
        return True

    def _skip(self, operation: Operation) -> bool:
        self._end(operation, "cancelled")
        return True

    def _end(self, operation: Operation, status: str) -> None:
        with self._lock:
            operation.status, operation.ended_at = status, datetime.now(UTC)
