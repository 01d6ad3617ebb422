"""Make a database's part of the catalogue anew from what lies in a bucket alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

from holdfast.contracts.rebuilding import LeftOut, RebuildRequest, Rebuilt
from holdfast.errors import ArchiveDamaged, HoldfastError, SignatureInvalid
from holdfast.model.collecting import Version
from holdfast.model.keys import MANIFEST, ArchiveKeys
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.ports.catalogue import Points
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.storage import Archive, Versions
from holdfast.usecases.catalogue.finding import Bucket, every_version, marks_of, point_of

ENOUGH_SECONDS = 90.0
"""With less time left, the next invocation goes on: one manifest of millions of chunks takes a minute."""


class Rebuilding:
    """What it takes; one object serves one invocation."""

    def __init__(
        self,
        *,
        points: Points,
        archive: Archive,
        versions: Versions,
        signer: Signer,
        digest_keys: DigestKeys,
        seconds_left: Callable[[], float],
    ) -> None:
        self._points, self._archive, self._versions = points, archive, versions
        self._signer, self._digest_keys, self._seconds_left = signer, digest_keys, seconds_left
        self._found: dict[PointState, list[str]] = {PointState.INTACT: [], PointState.CAPTURED: []}
        self._known, self._left_out = 0, list[LeftOut]()
        self._before: set[str] = set()

    def run(self, request: RebuildRequest) -> Rebuilt:
        """
        Add the points of the database whose manifests come after `after`, as long as there is time.

        A point that the catalogue knows stays as it is there, whatever the bucket says, unless its verification is new
        here. So it may be repeated, also while replication goes on. Damaged and forged ones are listed with the reason.
        """
        keys = ArchiveKeys(request.database)
        bucket = Bucket(
            archive=self._archive,
            versions=self._versions,
            signer=self._signer,
            digest_keys=self._digest_keys,
            there=marks_of(request.database, self._versions),
        )
        self._before = {point.id for point in self._points.newest_first(request.database)}
        after, finished = request.after, True
        for key, sealed in self._manifests(keys, request.after):
            if after != request.after and self._seconds_left() < ENOUGH_SECONDS:
                finished = False
                break
            self._take(bucket, key.split("/")[2], sealed)
            after = key
        return Rebuilt(
            database=request.database,
            intact=tuple(self._found[PointState.INTACT]),
            captured=tuple(self._found[PointState.CAPTURED]),
            known=self._known,
            left_out=tuple(self._left_out),
            after="" if finished else after,
        )

    def _manifests(self, keys: ArchiveKeys, after: str) -> Iterator[tuple[str, list[Version]]]:
        found = (one for one in every_version(self._versions, keys.points) if one.key.endswith(f"/{MANIFEST}"))
        for key, versions in groupby(found, key=lambda one: one.key):
            if key > after:
                yield key, list(versions)

    def _take(self, bucket: Bucket, name: str, sealed: list[Version]) -> None:
        """Add the point of the first version that is authentic; the newer ones may be somebody else's."""
        keys = ArchiveKeys(sealed[0].key.split("/")[0])
        if self._archive.find(keys.removal(name)) or self._archive.find(keys.removed(name)):
            self._left_out.append(LeftOut(point=name, reason="It has expired; its removal has begun."))
            return
        reasons = []
        for version in sorted(sealed, key=lambda one: one.modified_at):
            try:
                self._add(point_of(bucket, version))
            except (ArchiveDamaged, SignatureInvalid) as error:
                reasons.append(_reason(error))
            else:
                return
        self._left_out.append(LeftOut(point=name, reason=reasons[0]))

    def _add(self, point: RecoveryPoint) -> None:
        new = point.id not in self._before
        there = self._points.add(point)
        if new and there == point:
            self._found[point.state].append(point.id)
        elif _has_been_verified(there, point):
            pinned = {"verification_version": point.verification_version}
            pinned["verification_sha256"] = point.verification_sha256
            self._points.advance(point.id, PointState.INTACT, intact_at=point.intact_at, **pinned)
            self._found[PointState.INTACT].append(point.id)
        else:
            self._known += 1


def _has_been_verified(there: RecoveryPoint, point: RecoveryPoint) -> bool:
    """Answer whether the catalogue has not heard yet that the same sealed point was verified."""
    news = (there.state, point.state) == (PointState.CAPTURED, PointState.INTACT)
    return news and there.manifest_sha256 == point.manifest_sha256


def _reason(error: HoldfastError) -> str:
    return f"{error.message} {error.hint}".strip()
