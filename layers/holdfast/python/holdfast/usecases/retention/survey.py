"""Find every manifest of a database, and refuse to go on where catalogue and archive do not agree."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.contracts.retention import ManifestVersion
from holdfast.errors import ArchiveDamaged, BackupAlreadyRunning
from holdfast.model.collecting import Version, counts, must_be_whole
from holdfast.model.keys import MANIFEST, ArchiveKeys
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.ports.catalogue import Points
from holdfast.ports.executions import Executions
from holdfast.ports.storage import Versions


def survey(database: str, *, points: Points, executions: Executions, versions: Versions) -> tuple[ManifestVersion, ...]:
    """
    Return every version of every manifest whose chunks must be kept.

    That is what lies in the archive, whatever the catalogue knows of it, but for expired points that are removed.
    Raises `ArchiveDamaged` when a point that was captured has no manifest there, and `BackupAlreadyRunning` when a
    point is being captured although the caller has the database's lock.
    """
    known = {point.id: point for point in points.newest_first(database) if point.archived}
    for point in known.values():
        if point.state is PointState.CAPTURING:
            _give_up(point, points=points, executions=executions)
    keys = ArchiveKeys(database)
    stored = {(one.key, one.version_id) for one in _manifests(versions, keys)}
    for point in known.values():
        sealed = keys.of_point(point.id, MANIFEST), point.manifest_version
        if point.complete and point.state is not PointState.EXPIRED and sealed not in stored:
            raise ArchiveDamaged(
                f"The manifest of {point.id} is not in the archive; nothing was removed.",
                hint=f"Find out what removed it. `holdfast verify {point.id}` says what is left of the point.",
                point=point.id,
            )
    return tuple(found for each in sorted(stored) for found in _counting(each, known.get(each[0].split("/")[-2])))


def _give_up(point: RecoveryPoint, *, points: Points, executions: Executions) -> None:
    """Fail a point whose run is dead; one that lives without a lock is beyond understanding."""
    if executions.running(point.execution):
        raise BackupAlreadyRunning(
            f"The backup {point.id} is running without the lock of {point.database}.",
            database=point.database,
            point=point.id,
            execution=point.execution,
        )
    points.advance(point.id, PointState.FAILED, failure="Its execution ended before the backup did.")


def _manifests(versions: Versions, keys: ArchiveKeys) -> Iterator[Version]:
    after: str | None = ""
    while after is not None:
        page = versions.page(keys.points, after)
        yield from (one for one in page.versions if one.key.endswith(f"/{MANIFEST}") and not one.marker)
        after = page.after


def _counting(stored: tuple[str, str], point: RecoveryPoint | None) -> Iterator[ManifestVersion]:
    """Yield the manifest unless its point has expired and is removed."""
    key, version_id = stored
    if point is not None and not counts(point):
        return
    sealed = point is not None and point.manifest_version == version_id
    yield ManifestVersion(
        key=key,
        version_id=version_id,
        sha256=point.manifest_sha256 if point and sealed else "",
        whole=bool(point and sealed and must_be_whole(point)),
    )
