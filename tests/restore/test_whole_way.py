"""A real backup, verified, restored and proven: what the two sides of Holdfast write and read is the same."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.model.points import PointState
from restore.archiving import Archiver
from restore.conftest import Databases
from restore.running import Machine
from snapshot.rig import Rig


def test_what_the_backup_wrote_is_restored_and_proven(
    databases: Databases, shop: str, wired: Callable[..., Machine], archiver: Archiver
) -> None:
    rig = Rig(databases.parameters(shop))
    point = rig.backup()
    verdict = rig.verify(point.id)
    archiver.archive, archiver.points = rig.archive, rig.points
    archiver.signer, archiver.digest_keys = rig.signer, rig.digest_keys

    ended = wired(shop).run(databases.name())

    assert verdict.intact
    assert ended.proof.differences == ()
    assert rig.points.get(point.id).state is PointState.PROVEN
