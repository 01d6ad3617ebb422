"""Look whether all of a point is there; where it is not, give it up and name the newest one that is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from holdfast.archive.reading import read_object
from holdfast.contracts.manifest import Manifest
from holdfast.errors import ArchiveDamaged, SignatureInvalid
from holdfast.model.keys import ArchiveKeys
from holdfast.model.points import Kind, PointState, RecoveryPoint, may_become
from holdfast.usecases.limiting import Limit
from holdfast.usecases.restore.choosing import authenticate, remedy_of_damage
from holdfast.usecases.restore.sizes import sizes_of
from holdfast.usecases.restore.world import World
from holdfast.usecases.verify.plan import check_beside, described

OTHERS = 3
"""Points that are looked at in place of a damaged one."""


@contextmanager
def naming_another(world: World, point: RecoveryPoint) -> Iterator[None]:
    """Let `SignatureInvalid` and `ArchiveDamaged` give *point* up, and name the newest other of which all is there."""
    try:
        yield
    except (SignatureInvalid, ArchiveDamaged) as error:
        offer = give_up(world, point, error.message)
        raise type(error)(error.message, hint=f"{error.hint} {offer}", **error.ids) from error


def give_up(world: World, point: RecoveryPoint, damage: str) -> str:
    """
    Move *point*, which a restore found to be damaged, to `failed`, and return what to restore in its place.

    So nobody takes it for the latest again, and its age counts for nothing. A clean verification makes it intact
    again. May be repeated.
    """
    if may_become(world.points.get(point.id).state, PointState.FAILED):
        world.points.advance(point.id, PointState.FAILED, failure=damage)
    other = _newest_whole(world, point)
    if other is None:
        return f"No other of the newest points of {point.database} is whole. {remedy_of_damage(point)}"
    return f"The newest point that is whole is {other.id}: restore it with `--point {other.id}`."


def refuse_missing(manifest: Manifest, world: World, limit: Limit | None = None) -> None:
    """
    Raise `ArchiveDamaged` unless every chunk of *manifest* is there and has its size, and the roles are whole.

    What chunks hold is checked when they are loaded, before their rows are committed. *limit* bounds how long to look.
    """
    read_object(world.archive, manifest.globals_sql)
    faults = list(_missing(manifest, world, limit))
    if faults:
        more = f" {len(faults) - 1} more chunks are damaged or missing." if len(faults) > 1 else ""
        raise ArchiveDamaged(f"{faults[0]}{more}", point=manifest.point_id)


def _missing(manifest: Manifest, world: World, limit: Limit | None) -> Iterator[str]:
    """Yield a sentence for each chunk of which the version is missing or has another size than was sealed."""
    keys = ArchiveKeys(manifest.database)
    chunks = [(content, chunk) for content in manifest.contents for chunk in content.chunks]
    doing = f"looking for the {len(chunks):,} chunks of {manifest.point_id}"
    before_each = partial(limit.check, doing) if limit else None
    sizes = sizes_of((chunk for _, chunk in chunks), keys, world.archive, world.versions, before_each=before_each)
    for content, chunk in chunks:
        size = sizes.get((keys.chunk(chunk.sha256), chunk.version_id))
        if size != chunk.stored:
            what = f"The chunk of {described(content, chunk)}"
            yield (
                f"{what} is missing." if size is None else f"{what} has {size} bytes; the manifest says {chunk.stored}."
            )


def _newest_whole(world: World, damaged: RecoveryPoint) -> RecoveryPoint | None:
    known = (point for point in world.points.newest_first(damaged.database) if point.id != damaged.id)
    usable = [point for point in known if point.archived and point.restorable and point.serves(Kind.FULL)]
    for point in usable[:OTHERS]:
        try:
            manifest = authenticate(world.archive, world.signer, point).manifest
            check_beside(manifest, world.archive)
            refuse_missing(manifest, world)
        except (SignatureInvalid, ArchiveDamaged):
            continue
        return point
    return None
