"""The catalogue in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock

from holdfast.errors import (
    BackupAlreadyRunning,
    CollectionRunning,
    RestoreAlreadyRunning,
    UnexpectedState,
    UnknownPoint,
)
from holdfast.model.points import PointState, RecoveryPoint, database_of, may_become
from holdfast.ports.catalogue import Hold, RestoreRun


class MemoryPoints:
    """`Points` in memory; `points` and `locks` are open to tests."""

    def __init__(self) -> None:
        self.points: dict[str, RecoveryPoint] = {}
        self.locks: dict[str, tuple[str, str]] = {}
        self._one_at_a_time = RLock()

    def begin(self, point: RecoveryPoint) -> None:
        with self._one_at_a_time:
            holder = self.locks.get(point.database)
            if holder == (point.id, point.execution):
                return
            if holder is not None:
                raise _held(point.database, *holder)
            if point.id in self.points:
                raise UnexpectedState(f"Recovery point {point.id} exists already.", point=point.id)
            self.points[point.id] = point
            self.locks[point.database] = (point.id, point.execution)

    def add(self, point: RecoveryPoint) -> RecoveryPoint:
        with self._one_at_a_time:
            return self.points.setdefault(point.id, point)

    def reserve(self, database: str, execution: str, now: datetime) -> None:
        with self._one_at_a_time:
            holder = self.locks.setdefault(database, ("", execution))
            if holder != ("", execution):
                raise _held(database, *holder)

    def get(self, point_id: str) -> RecoveryPoint:
        database_of(point_id)
        if point_id not in self.points:
            raise UnknownPoint(f"There is no recovery point {point_id}.", point=point_id)
        return self.points[point_id]

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RecoveryPoint]:
        mine = [point for point in list(self.points.values()) if point.database == database]
        return sorted(mine, key=lambda point: point.id, reverse=True)[:limit]

    def advance(self, point_id: str, state: PointState, **facts: object) -> RecoveryPoint:
        with self._one_at_a_time:
            point = self.get(point_id)
            if point.state != state or may_become(point.state, state):
                point = self.points[point_id] = point.advanced(state, **facts)
            return point

    def note(self, point_id: str, **facts: object) -> RecoveryPoint:
        with self._one_at_a_time:
            point = self.points[point_id] = replace(self.get(point_id), **facts)  # type: ignore[arg-type]  # by name
            return point

    def protect(self, point_id: str, reason: str, *, legal_hold: bool = False) -> RecoveryPoint:
        with self._one_at_a_time:
            point = self.points[point_id] = self.get(point_id).guarded(reason, legal_hold=legal_hold)
            return point

    def forget(self, point_id: str) -> None:
        with self._one_at_a_time:
            if point_id in self.points and self.points[point_id].state is PointState.EXPIRED:
                del self.points[point_id]

    def give_way(self, point_id: str, attempt: int, to: str) -> bool:
        with self._one_at_a_time:
            point = self.get(point_id)
            if (point.state, point.yields, point.sealing) == (PointState.CAPTURING, attempt - 1, 0):
                point = self.points[point_id] = replace(point, yields=attempt, yielded_to=to)
            return point.yields == attempt

    def begin_sealing(self, point_id: str, attempt: int) -> bool:
        with self._one_at_a_time:
            point = self.get(point_id)
            if (point.state, point.yields) != (PointState.CAPTURING, attempt - 1):
                return False
            self.points[point_id] = replace(point, sealing=attempt)
            return True

    def release(self, database: str, execution: str) -> None:
        with self._one_at_a_time:
            if self.locks.get(database, ("", ""))[1] == execution:
                del self.locks[database]

    def lock_holder(self, database: str) -> tuple[str, str] | None:
        return self.locks.get(database)


def _held(database: str, point_id: str, execution: str) -> BackupAlreadyRunning:
    if not point_id:
        return CollectionRunning(f"{database} is being collected.", database=database, execution=execution)
    return BackupAlreadyRunning(
        f"A backup of {database} is running already: {point_id}.",
        database=database,
        point=point_id,
        execution=execution,
    )


class MemoryHolds:
    """`Holds` in memory."""

    def __init__(self) -> None:
        self.holds: dict[str, Hold] = {}
        self._one_at_a_time = RLock()

    def publish(self, hold: Hold) -> bool:
        with self._one_at_a_time:
            known = self.holds.get(hold.point_id)
            again = known and (known.generation, known.snapshot) == (hold.generation, hold.snapshot)
            if known is None or known.generation < hold.generation or again:
                self.holds[hold.point_id] = hold
                return True
            return False

    def current(self, point_id: str) -> Hold | None:
        return self.holds.get(point_id)

    def ping(self, point_id: str, generation: int, now: datetime) -> None:
        with self._one_at_a_time:
            known = self.holds.get(point_id)
            if known is not None and known.generation == generation:
                self.holds[point_id] = replace(known, pinged_at=now)

    def end(self, point_id: str) -> None:
        with self._one_at_a_time:
            self.holds.pop(point_id, None)

    def open(self, database: str) -> Sequence[Hold]:
        return [hold for _, hold in sorted(self.holds.items()) if hold.database == database]


class MemoryRestores:
    """`Restores` in memory."""

    def __init__(self) -> None:
        self.runs: dict[str, RestoreRun] = {}
        self.locks: dict[tuple[str, str], str] = {}
        self._one_at_a_time = RLock()

    def refuse_taken(self, run: RestoreRun) -> None:
        with self._one_at_a_time:
            holder = self.locks.get((run.target, run.into), run.id)
            if holder != run.id:
                raise RestoreAlreadyRunning(
                    f"Restore {holder} is writing into {run.into} already.",
                    restore=holder,
                    execution=self.runs[holder].execution,
                )

    def begin(self, run: RestoreRun) -> None:
        with self._one_at_a_time:
            self.refuse_taken(run)
            if self.locks.get((run.target, run.into)) == run.id:
                return
            if run.id in self.runs:
                raise UnexpectedState(f"Restore {run.id} exists already.", restore=run.id)
            self.runs[run.id] = run
            self.locks[run.target, run.into] = run.id

    def end(self, restore_id: str, *, state: str, sentence: str, ended_at: datetime) -> None:
        with self._one_at_a_time:
            run = self.runs.get(restore_id)
            if run is None:
                return
            if run.state == "running":
                self.runs[restore_id] = replace(run, state=state, sentence=sentence, ended_at=ended_at)
            if self.locks.get((run.target, run.into)) == restore_id:
                del self.locks[run.target, run.into]

    def get(self, restore_id: str) -> RestoreRun | None:
        return self.runs.get(restore_id)

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RestoreRun]:
        mine = [run for run in list(self.runs.values()) if run.database == database]
        return sorted(mine, key=lambda run: run.started_at, reverse=True)[:limit]
