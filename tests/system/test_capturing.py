"""Points of what providers keep, through the whole system and the providers' twins."""

from __future__ import annotations

import pytest

from system.providers import NEON, RDS, REGION
from system.world import World

pytestmark = pytest.mark.xdist_group("system-2")


def captured(world: World, database: str, tier: str) -> dict[str, object]:
    """Back *database* up as *tier* and return the point."""
    done = world.holdfast("--local", "--json", "backup", database, "--tier", tier, "--wait")
    assert done.code == 0, done.said
    return dict(done.json["point"])


def test_points_of_rds_and_neon_are_what_their_providers_keep(world: World) -> None:
    manual = captured(world, RDS, "daily")
    automated = world.providers.rds.api.snapshots.take_automated(REGION, "prod-1")
    adopted = captured(world, RDS, "daily")
    moment = captured(world, NEON, "hourly")

    assert (manual["state"], manual["mechanism"], manual["adopted"]) == ("intact", "snapshot", False)
    assert str(manual["provider_id"]).startswith("holdfast-")
    assert (adopted["state"], adopted["provider_id"], adopted["adopted"]) == ("intact", automated, True)
    assert (moment["state"], moment["mechanism"]) == ("intact", "history")
    assert str(moment["taken_at"]) > str(adopted["taken_at"])
    kept = world.providers.client().describe_db_snapshots(DBInstanceIdentifier="prod-1")["DBSnapshots"]
    assert {each["DBSnapshotIdentifier"] for each in kept} == {manual["provider_id"], automated}
