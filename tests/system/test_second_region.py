"""What the second region is for: the first one is gone, with its bucket and its catalogue."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast_cli.system import connected
from holdfast_local import system
from holdfast_local.postgres import EmbeddedPostgres
from system.world import SMALL, Done, create, holdfast, until

# Beside the systems of the other groups, not one more at the same time.
pytestmark = pytest.mark.xdist_group("system-2")

SECOND = "eu-west-1"
CONFIGURATION = f"""
[holdfast]
name = "two"
region = "eu-central-1"
second_region = "{SECOND}"

[databases.shop]
provider = "postgres"
url_env = "URL_SHOP"
"""


@contextlib.contextmanager
def two_regions(directory: Path) -> Iterator[Any]:
    """Run a system in two regions that protects one database; yield a function that runs the command."""
    with EmbeddedPostgres(18, directory / "server") as server:
        create(server, "shop", SMALL)
        (directory / "holdfast.toml").write_text(CONFIGURATION, encoding="utf-8")

        def command(*arguments: str) -> Done:
            return holdfast(*arguments, directory=directory, urls={"shop": server.url("shop")})

        try:
            up = command("local", "up")
            assert up.code == 0, up.said
            yield command
        finally:
            system.down(directory / ".holdfast" / "local")


def remove_bucket(s3: Any, bucket: str) -> None:
    """Remove a bucket with every version in it, as whoever owns the account may."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            where = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
            s3.delete_object(**where, BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=bucket)


def test_a_database_comes_back_in_the_second_region_from_its_bucket_alone(tmp_path: Path) -> None:
    with two_regions(tmp_path) as command:
        backup = command("--local", "--json", "backup", "shop", "--wait")
        assert backup.code == 0, backup.said
        point = backup.json["point"]["id"]
        first = connected(system.require(tmp_path / ".holdfast" / "local"))
        s3, there = first.client("s3"), first.in_region(SECOND)

        def versions(bucket: str) -> set[tuple[str, str]]:
            found = s3.list_object_versions(Bucket=bucket).get("Versions", [])
            return {(each["Key"], each["VersionId"]) for each in found}

        archive, replica = first.output("ArchiveBucket"), there.output("ArchiveBucket")
        until(lambda: versions(archive) <= versions(replica), 30, "replication")
        machine = first.machine("replication")
        looked = first.runs.start(machine, {"database": "shop"}, label="look")
        until(lambda: not first.runs.get(looked).running, 60, "a look at the second region")
        lag, seen = first.runs.get(looked), first.points.get(point).replicated_at
        remove_bucket(s3, archive)
        table = first.output("CatalogueTable")
        first.client("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=False)
        first.client("dynamodb").delete_table(TableName=table)

        before = command("--local", "--json", "points", "shop", "--region", SECOND)
        rebuilt = command("--local", "--json", "catalogue", "rebuild", "--region", SECOND)
        again = command("--local", "--json", "catalogue", "rebuild", "shop", "--region", SECOND)
        restore = command("--local", "--json", "restore", "shop", "--into", "back", "--wait", "--region", SECOND)
        after = command("--local", "--json", "points", "shop", "--region", SECOND)

    assert (lag.status, lag.output["waiting"]) == ("SUCCEEDED", 0)
    assert seen is not None
    assert before.json["points"] == []
    (found,) = rebuilt.json["databases"]
    assert (found["intact"], found["captured"], found["left_out"]) == ([point], [], [])
    assert again.json["databases"][0]["known"] == 1
    assert restore.code == 0, restore.said
    assert restore.json["proof"]["proven"] is True
    assert [(each["id"], each["state"]) for each in after.json["points"]] == [(point, "proven")]
