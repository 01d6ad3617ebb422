"""Recovery points, and the one lock per database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.adapters.aws.catalogue.items import attributes, item_of, thing_of
from holdfast.adapters.aws.catalogue.table import Table
from holdfast.errors import BackupAlreadyRunning, CollectionRunning, StorageThrottled, UnexpectedState, UnknownPoint
from holdfast.model.points import PointState, RecoveryPoint, database_of, may_become

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LOCK = "lock#backup"
_TRIES = 5


class DynamoPoints:
    """`Points` over the catalogue's table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def begin(self, point: RecoveryPoint) -> None:
        """Create *point* and take its database's lock, or neither."""
        pk = _pk(point.database)
        lock = {"point_id": point.id, "execution": point.execution, "locked_at": point.started_at}
        created = self._table.create_together(
            [(pk, f"point#{point.id}", item_of(point)), (pk, _LOCK, attributes(lock))]
        )
        holder = None if created else self.lock_holder(point.database)
        if created or holder == (point.id, point.execution):
            return
        if holder is None:
            raise UnexpectedState(f"Recovery point {point.id} exists already.", point=point.id)
        raise _held(point.database, *holder)

    def add(self, point: RecoveryPoint) -> RecoveryPoint:
        """Create *point* without the lock unless it is there; returns what is there now."""
        where = _pk(point.database), f"point#{point.id}"
        if self._table.put(*where, item_of(point), "attribute_not_exists(pk)", {}):
            return point
        return self.get(point.id)

    def reserve(self, database: str, execution: str, now: datetime) -> None:
        """Take the lock unless somebody has it."""
        lock = attributes({"point_id": "", "execution": execution, "locked_at": now})
        for _ in range(_TRIES):
            if self._table.put(_pk(database), _LOCK, lock, "attribute_not_exists(pk)", {}):
                return
            holder = self.lock_holder(database)
            if holder == ("", execution):
                return
            if holder is not None:
                raise _held(database, *holder)
        raise StorageThrottled(f"The lock of {database} is changing hands.", database=database)

    def get(self, point_id: str) -> RecoveryPoint:
        """Return the point."""
        database = database_of(point_id)
        item = self._table.get(_pk(database), f"point#{point_id}")
        if item is None:
            raise UnknownPoint(
                f"There is no recovery point {point_id}.",
                hint=f"`holdfast points {database}` lists those of {database}.",
                point=point_id,
            )
        return thing_of(RecoveryPoint, item)

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RecoveryPoint]:
        """Return the database's points, newest first: their ids sort by time."""
        items = self._table.query(_pk(database), "point#", backwards=True, limit=limit)
        return [thing_of(RecoveryPoint, item) for item in items]

    def advance(self, point_id: str, state: PointState, **facts: object) -> RecoveryPoint:
        """
        Move the point to *state* if it is still in the state that was read; otherwise look again.

        A repeated call finds the point there already and changes nothing, except where the model lets a
        point stay in its state with new facts (checked or proven again).
        """
        for _ in range(_TRIES):
            point = self.get(point_id)
            if point.state == state and not may_become(point.state, state):
                return point
            following = point.advanced(state, **facts)
            if self._changed(point, {"state": state, **facts}):
                return following
        raise _contended(point_id)

    def note(self, point_id: str, **facts: object) -> RecoveryPoint:
        """Store *facts* of the point in whatever state it is."""
        for _ in range(_TRIES):
            point = self.get(point_id)
            if self._changed(point, facts):
                return replace(point, **facts)  # type: ignore[arg-type]  # facts are fields by name
        raise _contended(point_id)

    def protect(self, point_id: str, reason: str, *, legal_hold: bool = False) -> RecoveryPoint:
        """Protect the point if it is still in the state, and as protected, as it was read; otherwise look again."""
        for _ in range(_TRIES):
            point = self.get(point_id)
            following = point.guarded(reason, legal_hold=legal_hold)
            if self._changed(point, {"protected": reason, "legal_hold": legal_hold}):
                return following
        raise _contended(point_id)

    def forget(self, point_id: str) -> None:
        """Remove the point's item if it has expired."""
        where = _pk(database_of(point_id)), f"point#{point_id}"
        self._table.delete(*where, "#state = :expired", {"expired": PointState.EXPIRED})

    def _changed(self, point: RecoveryPoint, facts: Mapping[str, object]) -> bool:
        """Store *facts* if the point is still in the state that was read, and as protected as it was."""
        where, values = (_pk(point.database), f"point#{point.id}"), {"old": point.state, "guard": point.protected}
        condition = "#state = :old AND (attribute_not_exists(#protected) OR #protected = :guard)"
        return self._table.update(*where, attributes(facts), condition, values)

    def give_way(self, point_id: str, attempt: int, to: str) -> bool:
        """Record that the attempt gave way, unless it is being sealed or is over."""
        changes = attributes({"yields": attempt, "yielded_to": to})
        where, before = (_pk(database_of(point_id)), f"point#{point_id}"), attempt - 1
        condition = "#state = :capturing AND yields = :before AND sealing = :nothing"
        values = {"capturing": PointState.CAPTURING, "before": before, "nothing": 0}
        return self._table.update(*where, changes, condition, values) or self.get(point_id).yields == attempt

    def begin_sealing(self, point_id: str, attempt: int) -> bool:
        """Record that the attempt is being sealed, unless it gave way or is over."""
        where, changes = (_pk(database_of(point_id)), f"point#{point_id}"), attributes({"sealing": attempt})
        values = {"capturing": PointState.CAPTURING, "before": attempt - 1}
        return self._table.update(*where, changes, "#state = :capturing AND yields = :before", values)

    def release(self, database: str, execution: str) -> None:
        """Give the lock back if *execution* holds it."""
        self._table.delete(_pk(database), _LOCK, "execution = :execution", {"execution": execution})

    def lock_holder(self, database: str) -> tuple[str, str] | None:
        """Return (point id, execution) of the run that holds the lock."""
        item = self._table.get(_pk(database), _LOCK)
        return (item["point_id"]["S"], item["execution"]["S"]) if item else None


def _contended(point_id: str) -> StorageThrottled:
    return StorageThrottled(f"Recovery point {point_id} is being changed by others.", point=point_id)


def _held(database: str, point_id: str, execution: str) -> BackupAlreadyRunning:
    """Return what to tell whoever wanted the lock: who has it."""
    if not point_id:
        return CollectionRunning(
            f"What {database} does not need any more is being removed.", database=database, execution=execution
        )
    return BackupAlreadyRunning(
        f"A backup of {database} is running already: {point_id}.",
        database=database,
        point=point_id,
        execution=execution,
    )


def _pk(database: str) -> str:
    return f"db#{database}"
