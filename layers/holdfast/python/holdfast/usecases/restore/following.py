"""Wait for what the target works on, and tell how far it is: statements may outlive the invocation that sent them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.progress import at_work
from holdfast.adapters.postgres.sending import connect_to_restore, still_working
from holdfast.contracts.restoring import Progress, RestorePlan, SliceDocument
from holdfast.errors import HoldfastError, StepTooLong
from holdfast.model.keys import RunKeys
from holdfast.model.progress import Sight
from holdfast.usecases.limiting import Limit
from holdfast.usecases.restore.world import World

RESERVE_SECONDS = 20.0
"""What an invocation keeps to end properly."""
RESERVE_SHARE = 0.25
"""But never more than this share of a short one."""
FIRST_LOOK_SECONDS = 3.0
"""What ends sooner is nothing that takes long."""
LOOK_SECONDS = 5.0
POLL_SECONDS = 0.5


def reserve(world: World) -> float:
    """Return how many seconds of this invocation are kept to end it, as seen at its start."""
    return min(RESERVE_SECONDS, world.seconds_left() * RESERVE_SHARE)


def step_limit(world: World) -> Limit:
    """Return what is left of this invocation for a step that nobody can go on with; it ends with `StepTooLong`."""
    return Limit(world.seconds_left, _too_long)


def _too_long(doing: str, seconds: float) -> StepTooLong:
    return StepTooLong(f"Time was up while {doing}: {seconds:.0f} s did not suffice.")


class Follower:
    """Waits for one batch's statements while the invocation lasts, and writes down what they are at."""

    def __init__(self, plan: RestorePlan, world: World, *, stage: str, batch: int) -> None:
        self._plan, self._world, self._stage, self._batch = plan, world, stage, batch
        self._key = RunKeys("restore", plan.restore_id).progress(stage, batch)
        self._reserve = reserve(world)
        self._told: Progress | None = None
        self._next_look = 0.0

    @property
    def seconds(self) -> float:
        """Return how long this invocation may still wait."""
        return self._world.seconds_left() - self._reserve

    def await_others(self, connection: Connection, documents: Sequence[SliceDocument]) -> None:
        """
        Wait until no session of an earlier invocation works on one of *documents* any more.

        Raises `StillWorking` when the time is over. What became of it, mark and failure tell.
        """
        what = {document.mark: document.what for document in documents}
        while sight := at_work(connection, list(what)):
            self._tell(sight, what[sight.mark])
            if self.seconds <= 0:
                raise still_working(sight.sentence(what[sight.mark]))
            sleep(min(POLL_SECONDS, self.seconds))

    def await_end(self, ended: Callable[[float], bool], document: SliceDocument) -> str:
        """Wait until the transaction of *document* has ended or the time is over, and return what was seen of it."""
        if ended(min(FIRST_LOOK_SECONDS, self.seconds)) or self.seconds <= 0:
            return ""
        seen = ""
        with self._eye() as look:
            while True:
                if sight := look(document.mark):
                    self._tell(sight, document.what)
                    seen = sight.sentence(document.what)
                if ended(min(LOOK_SECONDS, self.seconds)) or self.seconds <= 0:
                    return seen

    def end(self) -> None:
        """Write down that nothing of the batch takes long any more, if it was ever told that something did."""
        if self._told or self._world.scratch.read(self._key) is not None:
            last = self._told or self._world.read(Progress, self._plan.restore_id, self._key)
            self._world.write(self._key, last.model_copy(update={"ended": True, "seen_at": self._world.now()}))

    @contextmanager
    def _eye(self) -> Iterator[Callable[[str], Sight | None]]:
        """Give a function that looks at what works on a mark, by another connection: the one that works is busy."""
        try:
            connection = connect_to_restore(self._world.target(self._plan), doing="look")
        except HoldfastError:
            # The server has no room for somebody who only looks; the work goes on unseen.
            yield lambda _: None
            return

        def look(mark: str) -> Sight | None:
            try:
                return at_work(connection, [mark])
            except psycopg.Error:
                return None  # the worker's own connection will tell what happened

        with connection:
            yield look

    def _tell(self, sight: Sight, what: str) -> None:
        if monotonic() < self._next_look:
            return
        self._next_look = monotonic() + LOOK_SECONDS
        self._told = Progress(
            stage=self._stage,
            batch=self._batch,
            sentence=sight.sentence(what),
            percent=sight.percent,
            seconds=sight.seconds,
            seen_at=self._world.now(),
        )
        self._world.write(self._key, self._told)
