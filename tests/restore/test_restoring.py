"""The whole way from an intact point to a proven database."""

from __future__ import annotations

from holdfast.model.points import PointState
from restore.conftest import Databases
from restore.running import Machine


def test_a_restored_database_is_proven_identical(databases: Databases, restored: Machine) -> None:
    into = databases.name()

    ended = restored.run(into)

    assert ended.proof.differences == ()
    assert ended.proof.proven
    assert ended.report.succeeded
    point = restored.archiver.points.get(ended.assessed.point_id)
    assert point.state is PointState.PROVEN
