"""Look whether everything that each recovery point pins has arrived in the second region."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from holdfast.contracts.replicating import Lag
from holdfast.model.keys import MANIFEST, SIGNATURE, VERIFICATION, ArchiveKeys
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.ports.catalogue import Points
from holdfast.ports.keys import Signer
from holdfast.ports.storage import Archive, Versions
from holdfast.usecases.catalogue.finding import marks_of, pins
from holdfast.usecases.verify.plan import read_manifest

_SEALED = {PointState.CAPTURED, PointState.INTACT, PointState.PROVEN}


def measure_lag(
    database: str,
    *,
    points: Points,
    archive: Archive,
    replica: Versions,
    signer: Signer,
    now: datetime,
    enough_time: Callable[[], bool],
) -> Lag:
    """
    Return how far the second region is behind, and note in the catalogue each point of which it has everything.

    A point that was once there is not looked at again. What there is no time to look at counts as waiting: nobody has
    seen it there. May be repeated.
    """
    open_ones = [
        point
        for point in reversed(points.newest_first(database))
        if point.archived and point.state in _SEALED and point.replicated_at is None
    ]
    waiting: list[tuple[RecoveryPoint, int]] = []
    there = marks_of(database, replica) if open_ones else None
    for point in open_ones:
        if there is None or not enough_time():
            waiting.append((point, 0))
            continue
        missing = len({pair for pair in _pinned(point, archive=archive, signer=signer) if pair not in there})
        if missing:
            waiting.append((point, missing))
        else:
            points.note(point.id, replicated_at=now)
    if not waiting:
        return Lag(database=database)
    oldest, objects = waiting[0]
    sealed = oldest.captured_at or oldest.started_at
    return Lag(
        database=database,
        waiting=len(waiting),
        point=oldest.id,
        objects=objects,
        oldest=sealed,
        seconds=max(0, int((now - sealed).total_seconds())),
    )


def _pinned(point: RecoveryPoint, *, archive: Archive, signer: Signer) -> set[tuple[str, str]]:
    """Return key and version of all that the point consists of, as far as it is known by now."""
    keys, manifest = ArchiveKeys(point.database), read_manifest(point, archive=archive, signer=signer)
    documents = {
        MANIFEST: point.manifest_version,
        SIGNATURE: point.signature_version,
        VERIFICATION: point.verification_version,
    }
    return {
        *pins(manifest),
        *((keys.of_point(point.id, name), version) for name, version in documents.items() if version),
    }
