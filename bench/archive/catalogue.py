"""
The catalogue as files, shared by the processes of one run.

One record is one pickled file, written beside and renamed, so that readers see whole records; whatever reads
and then writes does so under one lock.
"""

from __future__ import annotations

import fcntl
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.errors import (
    BackupAlreadyRunning,
    CollectionRunning,
    RestoreAlreadyRunning,
    UnexpectedState,
    UnknownPoint,
)
from holdfast.model.points import PointState, RecoveryPoint, database_of, may_become
from holdfast.ports.catalogue import Hold, RestoreRun


class Records:
    """Records by name in *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> Any:
        """Return the record, or nothing."""
        try:
            return pickle.loads((self._directory / name).read_bytes())
        except FileNotFoundError:
            return None

    def put(self, name: str, record: object) -> None:
        """Store the record, replacing what was there."""
        with tempfile.NamedTemporaryFile(dir=self._directory, prefix=".", delete=False) as file:
            file.write(pickle.dumps(record))
        Path(file.name).rename(self._directory / name)

    def remove(self, name: str) -> None:
        """Forget the record; it may be gone already."""
        (self._directory / name).unlink(missing_ok=True)

    def all(self) -> list[Any]:
        """Return every record, by name."""
        names = sorted(path.name for path in self._directory.iterdir() if not path.name.startswith("."))
        return [record for record in map(self.get, names) if record is not None]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time read and then write."""
        with (self._directory / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _held(database: str, point: str, execution: str) -> BackupAlreadyRunning:
    """Return the error about a lock that somebody else has."""
    if not point:
        return CollectionRunning(f"Chunks of {database} are being collected.", database=database, execution=execution)
    return BackupAlreadyRunning(
        f"A backup of {database} is running already: {point}.", database=database, point=point, execution=execution
    )


class FilePoints:
    """`Points` over records."""

    def __init__(self, directory: Path) -> None:
        self._points, self._locks = Records(directory / "points"), Records(directory / "locks")

    def begin(self, point: RecoveryPoint) -> None:
        """Create the point and take the lock, or neither."""
        with self._locks.alone():
            holder = self._locks.get(point.database)
            if holder == (point.id, point.execution):
                return
            if holder is not None:
                raise _held(point.database, *holder)
            if self._points.get(point.id) is not None:
                raise UnexpectedState(f"Recovery point {point.id} exists already.", point=point.id)
            self._points.put(point.id, point)
            self._locks.put(point.database, (point.id, point.execution))

    def add(self, point: RecoveryPoint) -> RecoveryPoint:
        """Create the point without the lock."""
        with self._points.alone():
            found: RecoveryPoint | None = self._points.get(point.id)
            if found is None:
                self._points.put(point.id, point)
            return found or point

    def reserve(self, database: str, execution: str, now: datetime) -> None:  # noqa: ARG002  # nothing is told by it here
        """Take the lock for a collection."""
        with self._locks.alone():
            holder = self._locks.get(database) or ("", execution)
            if holder != ("", execution):
                raise _held(database, *holder)
            self._locks.put(database, holder)

    def get(self, point_id: str) -> RecoveryPoint:
        """Return the point."""
        return self._known(point_id)

    def _known(self, point_id: str) -> RecoveryPoint:
        database_of(point_id)
        found: RecoveryPoint | None = self._points.get(point_id)
        if found is None:
            raise UnknownPoint(f"There is no recovery point {point_id}.", point=point_id)
        return found

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RecoveryPoint]:
        """Return the database's points."""
        mine = [point for point in self._points.all() if point.database == database]
        return sorted(mine, key=lambda point: point.id, reverse=True)[:limit]

    def advance(self, point_id: str, state: PointState, **facts: object) -> RecoveryPoint:
        """Move the point on."""
        with self._points.alone():
            point = self._known(point_id)
            if point.state != state or may_become(point.state, state):
                point = point.advanced(state, **facts)
                self._points.put(point_id, point)
            return point

    def note(self, point_id: str, **facts: object) -> RecoveryPoint:
        """Store facts of the point."""
        with self._points.alone():
            point = replace(self._known(point_id), **facts)  # type: ignore[arg-type]  # facts are fields by name
            self._points.put(point_id, point)
            return point

    def protect(self, point_id: str, reason: str, *, legal_hold: bool = False) -> RecoveryPoint:
        """Protect the point."""
        with self._points.alone():
            point = self._known(point_id).guarded(reason, legal_hold=legal_hold)
            self._points.put(point_id, point)
            return point

    def forget(self, point_id: str) -> None:
        """Forget the point when it has expired."""
        with self._points.alone():
            found: RecoveryPoint | None = self._points.get(point_id)
            if found and found.state is PointState.EXPIRED:
                self._points.remove(point_id)

    def give_way(self, point_id: str, attempt: int, to: str) -> bool:
        """Record that the attempt gave way."""
        with self._points.alone():
            point = self._known(point_id)
            if (point.state, point.yields, point.sealing) == (PointState.CAPTURING, attempt - 1, 0):
                point = replace(point, yields=attempt, yielded_to=to)
                self._points.put(point_id, point)
            return point.yields == attempt

    def begin_sealing(self, point_id: str, attempt: int) -> bool:
        """Record that the attempt is being sealed."""
        with self._points.alone():
            point = self._known(point_id)
            if (point.state, point.yields) != (PointState.CAPTURING, attempt - 1):
                return False
            self._points.put(point_id, replace(point, sealing=attempt))
            return True

    def release(self, database: str, execution: str) -> None:
        """Give the lock back."""
        with self._locks.alone():
            if (self._locks.get(database) or ("", ""))[1] == execution:
                self._locks.remove(database)

    def lock_holder(self, database: str) -> tuple[str, str] | None:
        """Return who holds the lock."""
        found: tuple[str, str] | None = self._locks.get(database)
        return found


class FileHolds:
    """`Holds` over records."""

    def __init__(self, directory: Path) -> None:
        self._holds = Records(directory / "holds")

    def publish(self, hold: Hold) -> bool:
        """Make *hold* the current one, unless its generation or a newer one is."""
        with self._holds.alone():
            known = self.current(hold.point_id)
            again = known and (known.generation, known.snapshot) == (hold.generation, hold.snapshot)
            if known is None or known.generation < hold.generation or again:
                self._holds.put(hold.point_id, hold)
                return True
            return False

    def current(self, point_id: str) -> Hold | None:
        """Return the current hold."""
        found: Hold | None = self._holds.get(point_id)
        return found

    def ping(self, point_id: str, generation: int, now: datetime) -> None:
        """Record that the holder lives."""
        with self._holds.alone():
            known = self.current(point_id)
            if known is not None and known.generation == generation:
                self._holds.put(point_id, replace(known, pinged_at=now))

    def end(self, point_id: str) -> None:
        """Forget the hold."""
        self._holds.remove(point_id)

    def open(self, database: str) -> Sequence[Hold]:
        """Return the holds that have not ended."""
        return [hold for hold in self._holds.all() if hold.database == database]


class FileRestores:
    """`Restores` over records; each bench restores into a name of its own, so locks are looked up by scanning."""

    def __init__(self, directory: Path) -> None:
        self._runs = Records(directory / "restores")

    def refuse_taken(self, run: RestoreRun) -> None:
        """Raise when another restore writes into the same target."""
        for other in self._runs.all():
            if other.state == "running" and (other.target, other.into) == (run.target, run.into) and other.id != run.id:
                raise RestoreAlreadyRunning(
                    f"Restore {other.id} is writing into {run.into} already.",
                    restore=other.id,
                    execution=other.execution,
                )

    def begin(self, run: RestoreRun) -> None:
        """Record a running restore, unless another one writes into the same target."""
        with self._runs.alone():
            self.refuse_taken(run)
            if known := self.get(run.id):
                if known.state == "running":
                    return
                raise UnexpectedState(f"Restore {run.id} exists already.", restore=run.id)
            self._runs.put(run.id, run)

    def end(self, restore_id: str, *, state: str, sentence: str, ended_at: datetime) -> None:
        """Record the end."""
        with self._runs.alone():
            run = self.get(restore_id)
            if run is not None and run.state == "running":
                self._runs.put(restore_id, replace(run, state=state, sentence=sentence, ended_at=ended_at))

    def get(self, restore_id: str) -> RestoreRun | None:
        """Return the run."""
        found: RestoreRun | None = self._runs.get(restore_id)
        return found

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RestoreRun]:
        """Return the database's restores."""
        mine = [run for run in self._runs.all() if run.database == database]
        return sorted(mine, key=lambda run: run.started_at, reverse=True)[:limit]


class FileExecutions:
    """`Executions` of one run: everybody waits for every token, and answers lie in files."""

    def __init__(self, directory: Path) -> None:
        self._answers = Records(directory / "answers")

    def running(self, execution: str) -> bool:
        """Answer that the execution runs: the scheduler outlives its workers."""
        return bool(execution)

    def heartbeat(self, task_token: str) -> bool:
        """Answer that the task is waited for until it was answered."""
        return self._answers.get(task_token) is None

    def succeed(self, task_token: str, output: str) -> bool:
        """Keep the answer."""
        return self._answer(task_token, ("succeeded", output))

    def fail(self, task_token: str, error: str, cause: str) -> bool:
        """Keep the failure."""
        return self._answer(task_token, ("failed", error, cause))

    def _answer(self, task_token: str, answer: tuple[str, ...]) -> bool:
        with self._answers.alone():
            if self._answers.get(task_token) is not None:
                return False
            self._answers.put(task_token, answer)
            return True
