"""Restores, and the one lock per target."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.adapters.aws.catalogue.items import Item, attributes, item_of, thing_of
from holdfast.adapters.aws.catalogue.table import Table
from holdfast.errors import RestoreAlreadyRunning, UnexpectedState
from holdfast.ports.catalogue import RestoreRun

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LOCK = "lock#restore"
_RUNNING = "running"


class DynamoRestores:
    """`Restores` over the catalogue's table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def refuse_taken(self, run: RestoreRun) -> None:
        """Raise `RestoreAlreadyRunning` when another run has the lock of *run*'s target."""
        lock = self._table.get(_target(run), _LOCK)
        if lock:
            _refuse_other(lock, run)

    def begin(self, run: RestoreRun) -> None:
        """Record *run* and take the lock of its target, or neither."""
        pk, sk = f"db#{run.database}", f"restore#{run.started_at.astimezone(UTC):%Y%m%dt%H%M%S}#{run.id}"
        target = _target(run)
        created = self._table.create_together(
            [
                (pk, sk, item_of(run) | attributes({"locks": target})),
                (f"restore#{run.id}", "key", attributes({"at_pk": pk, "at_sk": sk})),
                (target, _LOCK, attributes({"restore_id": run.id, "execution": run.execution})),
            ]
        )
        if created:
            return
        lock = self._table.get(target, _LOCK)
        if lock is None:
            raise UnexpectedState(f"Restore {run.id} exists already.", restore=run.id)
        _refuse_other(lock, run)

    def end(self, restore_id: str, *, state: str, sentence: str, ended_at: datetime) -> None:
        """
        Record the end and give the lock back; the first end counts, and a run that never began has none.

        The lock goes last, so that a call that was cut off between the two is completed by its repetition.
        """
        found = self._find(restore_id)
        if found is None:
            return
        pk, sk, item = found
        facts = attributes({"state": state, "sentence": sentence, "ended_at": ended_at})
        self._table.update(pk, sk, facts, "#state = :running", {"running": _RUNNING})
        self._table.delete(item["locks"]["S"], _LOCK, "restore_id = :id", {"id": restore_id})

    def get(self, restore_id: str) -> RestoreRun | None:
        """Return the run, or nothing."""
        found = self._find(restore_id)
        return thing_of(RestoreRun, found[2]) if found else None

    def newest_first(self, database: str, *, limit: int | None = None) -> Sequence[RestoreRun]:
        """Return the database's restores, newest first: their keys sort by time."""
        items = self._table.query(f"db#{database}", "restore#", backwards=True, limit=limit)
        return [thing_of(RestoreRun, item) for item in items]

    def _find(self, restore_id: str) -> tuple[str, str, Item] | None:
        """Return where the run lies, and the run."""
        pointer = self._table.get(f"restore#{restore_id}", "key")
        if pointer is None:
            return None
        pk, sk = pointer["at_pk"]["S"], pointer["at_sk"]["S"]
        item = self._table.get(pk, sk)
        return (pk, sk, item) if item else None


def _refuse_other(lock: Item, run: RestoreRun) -> None:
    holder = lock["restore_id"]["S"]
    if holder != run.id:
        raise RestoreAlreadyRunning(
            f"Restore {holder} is writing into {run.into} already.",
            restore=holder,
            execution=lock["execution"]["S"],
        )


def _target(run: RestoreRun) -> str:
    """Return the partition of the target's lock: server and database, hashed, since names may hold anything."""
    return "target#" + hashlib.sha256(f"{run.target}\0{run.into}".encode()).hexdigest()
