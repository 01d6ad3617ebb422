"""Collecting chunks through the whole system: the machine, its function and its function's role."""

from __future__ import annotations

import pytest

from system.world import World

pytestmark = pytest.mark.xdist_group("system-2")


def test_a_collection_keeps_what_points_pin_and_what_is_new_and_leaves_a_receipt(world: World) -> None:
    world.backup("plain")
    before = world.chunks("plain")
    stray = "plain/chunks/00/00.zst"
    s3, bucket = world.system.client("s3"), world.system.output("ArchiveBucket")
    s3.put_object(Bucket=bucket, Key=stray, Body=b"stray")

    counted = world.holdfast("--local", "--json", "collect", "plain")
    removed = world.holdfast("--local", "--json", "collect", "plain", "--yes")

    assert (counted.code, removed.code) == (0, 0), counted.said + removed.said
    assert (counted.json["dry_run"], removed.json["dry_run"]) == (True, False)
    assert removed.json["pinned"]["versions"] == len(before)
    assert (removed.json["young"], removed.json["garbage"]["versions"]) == ({"versions": 1, "bytes": 5}, 0)
    assert set(world.chunks("plain")) == {*before, stray}
    receipts = s3.list_objects_v2(Bucket=bucket, Prefix="plain/collections/")["Contents"]
    assert len(receipts) == 1
    assert world.system.points.lock_holder("plain") is None
