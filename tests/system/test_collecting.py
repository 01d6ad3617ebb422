"""Collecting chunks and pruning points through the whole system: the machines, their functions and their roles."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.contracts.manifest import Manifest
from holdfast.model.keys import MANIFEST, ArchiveKeys
from holdfast.model.points import PointState, point_id
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


def test_a_point_whose_time_is_over_is_removed_once_nothing_protects_it_and_leaves_a_receipt(world: World) -> None:
    system, taken = world.system, datetime.now(UTC) - timedelta(days=40)
    fresh = system.points.get(world.backup("plain"))
    old = replace(fresh, id=point_id("plain", taken, "abcdef"), taken_at=taken, started_at=taken)
    s3, bucket = system.client("s3"), system.output("ArchiveBucket")
    keys = ArchiveKeys("plain")
    where = {"Bucket": bucket, "Key": keys.of_point(old.id, MANIFEST)}
    soon = datetime.now(UTC) + timedelta(seconds=2)
    s3.put_object(**where, Body=b"{}", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=soon)
    s3.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    system.points.add(old)

    held = world.holdfast("--local", "--json", "prune", "plain", "--yes")
    s3.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
    removed = world.holdfast("--local", "--json", "prune", "plain", "--yes")

    assert (held.code, removed.code) == (0, 0), held.said + removed.said
    assert held.json["counts"]["locked"] == removed.json["counts"]["removed"] == 1
    (told,) = [each["note"] for each in held.json["points"] if each["point_id"] == old.id]
    assert told == "A legal hold protects it until somebody ends that."
    assert system.points.get(old.id).state is PointState.EXPIRED
    assert system.points.get(fresh.id).restorable
    left = s3.list_object_versions(Bucket=bucket, Prefix=keys.point(old.id))
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")
    receipt = json.loads(system.archive.read(keys.removed(old.id)))
    assert (receipt["why"], len(receipt["versions"])) == ("It is 40 days old; manual points are kept for 30 days.", 1)


def test_a_legal_hold_is_on_all_of_a_point_while_it_is_protected(world: World) -> None:
    system, point = world.system, world.backup("plain")
    s3, bucket = system.client("s3"), system.output("ArchiveBucket")

    keys = ArchiveKeys("plain")
    manifest = Manifest.model_validate_json(system.archive.read(keys.of_point(point, MANIFEST)))
    pinned = [keys.chunk(chunk.sha256) for content in manifest.contents for chunk in content.chunks]

    def held() -> set[str]:
        found = [*pinned, keys.of_point(point, MANIFEST)]
        return {s3.head_object(Bucket=bucket, Key=key).get("ObjectLockLegalHoldStatus", "OFF") for key in found}

    protected = world.holdfast("--local", "protect", point, "--reason", "litigation 17", "--legal-hold")
    on = held()
    refused = world.holdfast("--local", "--json", "prune", "plain")
    freed = world.holdfast("--local", "unprotect", point, "--reason", "settled")

    assert (protected.code, refused.code, freed.code) == (0, 0, 0), protected.said + freed.said
    assert (on, held()) == ({"ON"}, {"OFF"})
    (why,) = [each["why"] for each in refused.json["points"] if each["point_id"] == point]
    assert why == "It is protected: litigation 17."
    assert not system.points.get(point).protected
