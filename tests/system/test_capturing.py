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


def test_an_archive_is_taken_of_a_frozen_copy_that_is_gone_afterwards(world: World) -> None:
    before = len(world.providers.neon.project.branches)

    done = world.holdfast("--local", "--json", "backup", NEON, "--wait")

    assert done.code == 0, done.said
    point = done.json["point"]
    assert (point["state"], point["mechanism"], point["rows"]) == ("intact", "archive", 500)
    assert point["copy_id"]
    assert point["taken_at"] == point["copied_at"]
    branches = world.providers.neon.project.branches
    assert len(branches) == before
    assert point["copy_id"] not in branches
    secrets = world.system.client("secretsmanager").list_secrets()["SecretList"]
    assert not [each["Name"] for each in secrets if "/copies/" in each["Name"]]


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
