"""What may be removed from the chunks of a database: the decision, apart from everything that it needs to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from holdfast.model.points import PointState, RecoveryPoint

GUARD = timedelta(days=3)
"""
Nothing younger is ever removed: a backup lasts two days at most, and the third is for functions that outlive their
execution and for clocks. It is the last of several guards: none of them is meant to be needed.
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker; *modified_at* is the storage service's own time."""

    key: str
    version_id: str
    modified_at: datetime
    size: int = 0
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Sorted:
    """Versions by what becomes of them; *young* ones are pinned by nobody, and too new to say that nobody will."""

    pinned: tuple[Version, ...] = ()
    young: tuple[Version, ...] = ()
    garbage: tuple[Version, ...] = ()


def sorted_out(versions: Iterable[Version], pinned: Callable[[Version], bool], *, now: datetime) -> Sorted:
    """
    Sort the complete *versions* of some keys, neighbours by key, into what is pinned, too young, and garbage.

    *now* is the time of the service that dated the versions, so that no clock of ours counts. A delete marker hides a
    version that was found damaged, so it is garbage only together with everything else of its key.
    """
    kept: list[Version] = []
    young: list[Version] = []
    garbage: list[Version] = []
    for _, group in groupby(versions, key=lambda version: version.key):
        of_key = list(group)
        stored = [version for version in of_key if not version.marker]
        found = [version for version in stored if pinned(version)]
        loose = [version for version in (stored if found else of_key) if version not in found]
        fresh = [version for version in loose if version.modified_at > now - GUARD]
        old = [version for version in loose if version not in fresh]
        kept += found
        young += [version for version in fresh if not version.marker]
        garbage += [version for version in old if not (version.marker and fresh)]
    return Sorted(tuple(kept), tuple(young), tuple(garbage))


def counts(point: RecoveryPoint) -> bool:
    """
    Answer whether what *point*'s manifest pins must be kept: unless it has expired, even if it has failed.

    One that has expired counts until it is removed: a restore may read it still, and whoever removes it waits for that.
    """
    return point.state is not PointState.EXPIRED or point.removed_at is None


def must_be_whole(point: RecoveryPoint) -> bool:
    """
    Answer whether every chunk that *point* pins must still be there.

    Those of a failed point are kept as far as they are there: it may have failed because one is not.
    """
    return point.state in {PointState.CAPTURED, PointState.INTACT, PointState.PROVEN}
