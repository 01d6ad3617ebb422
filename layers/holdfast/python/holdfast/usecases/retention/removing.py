"""Remove what is left of an expired point, wherever it lies, with a receipt before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

from holdfast.contracts.pruning import Deletion, RemovedVersion
from holdfast.errors import ProviderRefused
from holdfast.model.collecting import Version
from holdfast.model.keys import ArchiveKeys
from holdfast.model.points import Mechanism, RecoveryPoint
from holdfast.ports import providers as ports
from holdfast.ports.storage import Archive, Kept, Versions

TOGETHER = 1000
RECEIPT_KEPT = timedelta(days=365)
"""How long nobody can remove a receipt: as long as other records for an audit."""


class Snapshots(ports.Snapshots, ports.SecondRegion, Protocol):
    """What retention asks of a provider."""


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket that holds objects of points: the archive, or its replica in the second region."""

    name: str
    versions: Versions


class Removal:
    """Removes one point after the other; each step may be repeated, by whichever run comes next."""

    def __init__(
        self, *, archive: Archive, places: Sequence[Place], provider: Snapshots | None, now: Callable[[], datetime]
    ) -> None:
        self._archive, self._places, self._provider, self._now = archive, places, provider, now

    def obstacle(self, point: RecoveryPoint) -> str:
        """
        Say in a sentence what keeps the point from being removed now; "" when nothing does.

        Asked before anything is touched: a point that a lock protects stays whole.
        """
        if (_snapshot(point) or point.second_id) and self._provider is None:
            return f"Nothing says which thing at its provider {point.database} is, so its snapshot cannot be deleted."
        stored = [(place, self._stored(place, point)) for place in self._places] if point.archived else []
        return next((told(kept) for place, found in stored if (kept := place.versions.locked(found))), "")

    def run(self, point: RecoveryPoint, execution: str) -> str:
        """
        Remove what is left of the expired *point*; says what stood in the way, or "" when nothing is left.

        The provider's snapshots go first, then the replica, then the archive. What comes to light after a receipt,
        because a function outlived its execution, gets another.
        """
        stored = {place.name: self._stored(place, point) for place in self._places} if point.archived else {}
        number = self._number(point)
        # A receipt says that the snapshots are gone: they go once, with the first.
        elsewhere = bool(_snapshot(point) or point.second_id) and number == 0
        if not (any(stored.values()) or elsewhere or self._archive.find(self._keys(point).removal(point.id, number))):
            return ""
        begun = self._begun(point, execution, stored, number)
        if elsewhere and (refusal := self._delete_snapshots(point)):
            return refusal
        for place in reversed(self._places):
            if kept := _removed(place.versions, stored.get(place.name, [])):
                return told(kept)
        if point.archived and any(self._stored(place, point) for place in self._places):
            return "Something was written beside it meanwhile; the next run removes that."
        found = {*begun.versions, *_noted(stored)}
        ended = begun.model_copy(update={"ended_at": self._now(), "versions": tuple(sorted(found, key=_order))})
        self._put(self._keys(point).removed(point.id, number), ended)
        return ""

    def _number(self, point: RecoveryPoint) -> int:
        """Return the first number that no receipt has: that of the removal that is going on, or of the next."""
        return next(number for number in count() if not self._archive.find(self._keys(point).removed(point.id, number)))

    def _keys(self, point: RecoveryPoint) -> ArchiveKeys:
        return ArchiveKeys(point.database)

    def _stored(self, place: Place, point: RecoveryPoint) -> list[Version]:
        found: list[Version] = []
        after: str | None = ""
        while after is not None:
            page = place.versions.page(ArchiveKeys(point.database).point(point.id), after)
            found += page.versions
            after = page.after
        return found

    def _begun(self, point: RecoveryPoint, execution: str, stored: dict[str, list[Version]], number: int) -> Deletion:
        """Leave word of what is about to go; where an earlier invocation did, its word stands."""
        key = self._keys(point).removal(point.id, number)
        self._put(
            key,
            Deletion(
                database=point.database,
                point_id=point.id,
                tier=point.tier,
                mechanism=point.mechanism,
                taken_at=point.taken_at,
                why=point.expired_why,
                execution=execution,
                begun_at=self._now(),
                versions=tuple(_noted(stored)),
                snapshot=_snapshot(point),
                copy_region=point.second_region if point.second_id else "",
                copy_id=point.second_id,
            ),
        )
        return Deletion.model_validate_json(self._archive.read(key))

    def _put(self, key: str, document: Deletion) -> None:
        body = document.model_dump_json().encode()
        until = self._now() + RECEIPT_KEPT
        self._archive.put(key, body, sha256=hashlib.sha256(body).hexdigest(), retain_until=until)

    def _delete_snapshots(self, point: RecoveryPoint) -> str:
        """Delete what the provider keeps of the point; says why it will not, if so."""
        if self._provider is None:
            return self.obstacle(point)
        try:
            if point.second_id:
                self._provider.delete_second_region_snapshot(point.second_id)
            if snapshot := _snapshot(point):
                self._provider.delete_snapshot(snapshot)
        except ProviderRefused as refused:
            return f"The provider refuses: {refused.message}"
        return ""


def told(kept: Sequence[Kept]) -> str:
    """Say what protects *kept*, and until when."""
    ends = [one.retained_until for one in kept if one.retained_until]
    if len(ends) < len(kept):
        return "A legal hold protects it until somebody ends that."
    return f"A lock protects it until {max(ends).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC."


def _snapshot(point: RecoveryPoint) -> str:
    """Return the id of the snapshot that is ours to delete, if there is one."""
    return point.provider_id if point.mechanism is Mechanism.SNAPSHOT and not point.adopted else ""


def _removed(versions: Versions, found: Sequence[Version]) -> list[Kept]:
    """Remove *found*; returns what a lock protects."""
    kept: list[Kept] = []
    for first in range(0, len(found), TOGETHER):
        kept += versions.remove(found[first : first + TOGETHER])
    return kept


def _noted(stored: dict[str, list[Version]]) -> Iterator[RemovedVersion]:
    for place, versions in stored.items():
        yield from _of_place(place, versions)


def _of_place(place: str, versions: Iterable[Version]) -> Iterator[RemovedVersion]:
    for one in versions:
        yield RemovedVersion(
            place=place,
            key=one.key,
            version_id=one.version_id,
            modified_at=one.modified_at,
            size=one.size,
            marker=one.marker,
        )


def _order(one: RemovedVersion) -> tuple[str, str, str]:
    return one.place, one.key, one.version_id
