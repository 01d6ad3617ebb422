"""Look whether all of a point is there; where it is not, give it up and name the newest one that is whole."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from holdfast.archive.reading import read_object
from holdfast.contracts.manifest import Chunk, Manifest, TableContent
from holdfast.errors import ArchiveDamaged, SignatureInvalid
from holdfast.model.keys import ArchiveKeys
from holdfast.model.points import Kind, PointState, RecoveryPoint, may_become
from holdfast.ports.storage import Archive
from holdfast.usecases.restore.choosing import authenticate, remedy_of_damage
from holdfast.usecases.restore.world import World
from holdfast.usecases.verify.plan import check_beside, described

OTHERS = 3
"""Points that are looked at in place of a damaged one."""
_LOOKERS = 16
_TOGETHER = 10_000


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


def refuse_missing(archive: Archive, manifest: Manifest) -> None:
    """
    Raise `ArchiveDamaged` unless every chunk of *manifest* is there and has its size, and the roles are whole.

    What chunks hold is checked when they are loaded, before their rows are committed.
    """
    read_object(archive, manifest.globals_sql)
    faults = list(_missing(archive, manifest))
    if faults:
        more = f" {len(faults) - 1} more chunks are damaged or missing." if len(faults) > 1 else ""
        raise ArchiveDamaged(f"{faults[0]}{more}", point=manifest.point_id)


def _missing(archive: Archive, manifest: Manifest) -> Iterator[str]:
    """Yield a sentence for each chunk of which the version is missing or has another size than was sealed."""
    keys = ArchiveKeys(manifest.database)
    chunks = [(content, chunk) for content in manifest.contents for chunk in content.chunks]

    def look(named: tuple[TableContent, Chunk]) -> int | None:
        return archive.size(keys.chunk(named[1].sha256), named[1].version_id)

    with ThreadPoolExecutor(_LOOKERS, thread_name_prefix="look") as pool:
        for first in range(0, len(chunks), _TOGETHER):
            some = chunks[first : first + _TOGETHER]
            for (content, chunk), size in zip(some, pool.map(look, some), strict=True):
                what = f"The chunk of {described(content, chunk)}"
                if size is None:
                    yield f"{what} is missing."
                elif size != chunk.stored:
                    yield f"{what} has {size} bytes; the manifest says {chunk.stored}."


def _newest_whole(world: World, damaged: RecoveryPoint) -> RecoveryPoint | None:
    known = (point for point in world.points.newest_first(damaged.database) if point.id != damaged.id)
    usable = [point for point in known if point.archived and point.restorable and point.serves(Kind.FULL)]
    for point in usable[:OTHERS]:
        try:
            manifest = authenticate(world.archive, world.signer, point).manifest
            check_beside(manifest, world.archive)
            refuse_missing(world.archive, manifest)
        except (SignatureInvalid, ArchiveDamaged):
            continue
        return point
    return None
