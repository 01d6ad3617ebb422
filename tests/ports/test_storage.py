"""What every archive and scratch bucket promises."""

from __future__ import annotations

import hashlib

import pytest

from holdfast.errors import ArchiveDamaged
from holdfast.ports.storage import Archive, Scratch, Stored

KEY = "shop/chunks/ab/abcd.zst"


def put(archive: Archive, body: bytes, key: str = KEY) -> Stored:
    return archive.put(key, body, sha256=hashlib.sha256(body).hexdigest())


def test_what_was_put_is_read_back(archive: Archive) -> None:
    stored = put(archive, b"rows")

    assert stored.created
    assert stored.size == 4
    assert archive.read(KEY) == archive.read(KEY, stored.version_id) == b"rows"


def test_an_object_is_never_overwritten(archive: Archive) -> None:
    first = put(archive, b"rows")

    second = put(archive, b"other rows")

    assert second == Stored(first.version_id, 4, created=False)
    assert archive.read(KEY) == b"rows"


def test_an_object_is_found_with_version_and_size(archive: Archive) -> None:
    stored = put(archive, b"rows")

    assert archive.find(KEY) == Stored(stored.version_id, 4, created=False)
    assert archive.find("shop/chunks/ab/ab") is None


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 2 * 1024 * 1024 + 1])
def test_an_object_streams_in_blocks_of_a_mebibyte(archive: Archive, size: int) -> None:
    body = bytes(size)
    put(archive, body)

    blocks = list(archive.stream(KEY))

    assert b"".join(blocks) == body
    assert all(len(block) <= 1024 * 1024 for block in blocks)


def test_a_missing_object_names_its_key(archive: Archive) -> None:
    with pytest.raises(ArchiveDamaged, match=KEY):
        archive.read(KEY)


def test_a_missing_version_counts_as_damage(archive: Archive) -> None:
    put(archive, b"rows")

    with pytest.raises(ArchiveDamaged, match=KEY):
        archive.read(KEY, "3HL4kqtJvjVBH40Nrjfkd")


def test_a_version_has_a_size_below_a_delete_marker_too(archive: Archive) -> None:
    first = put(archive, b"rows")
    archive.withdraw(KEY, first.version_id)

    assert archive.size(KEY, first.version_id) == 4
    assert archive.size(KEY, "3HL4kqtJvjVBH40Nrjfkd") is None
    assert archive.size("shop/chunks/no/thing.zst", first.version_id) is None


def test_what_is_withdrawn_is_stored_anew_and_still_read_by_its_version(archive: Archive) -> None:
    first = put(archive, b"torn rows")

    archive.withdraw(KEY, first.version_id)

    assert archive.find(KEY) is None
    second = put(archive, b"rows")
    assert second.created
    assert (archive.read(KEY), archive.read(KEY, first.version_id)) == (b"rows", b"torn rows")


def test_only_the_newest_version_is_withdrawn(archive: Archive) -> None:
    first = put(archive, b"torn rows")
    archive.withdraw(KEY, first.version_id)
    second = put(archive, b"rows")

    archive.withdraw(KEY, first.version_id)
    archive.withdraw("shop/chunks/no/thing.zst", first.version_id)

    assert archive.find(KEY) == Stored(second.version_id, 4, created=False)


def test_scratch_replaces_what_was_there(scratch: Scratch) -> None:
    scratch.write("backup/run/plan.json", b"1")

    scratch.write("backup/run/plan.json", b"2")

    assert scratch.read("backup/run/plan.json") == b"2"
    assert scratch.read("backup/run/other.json") is None
    assert scratch.bucket == "scratch"


def test_scratch_creates_a_key_once_and_says_so(scratch: Scratch) -> None:
    created = [scratch.create("backup/run/plan.json", body) for body in (b"1", b"2", b"1")]

    assert created == [True, False, False]
    assert scratch.read("backup/run/plan.json") == b"1"


def test_scratch_lists_the_keys_of_a_prefix_sorted(scratch: Scratch) -> None:
    for name in ("b/2", "b/10", "b/1", "c/1"):
        scratch.write(name, b"")

    assert list(scratch.keys("b/")) == ["b/1", "b/10", "b/2"]
    assert list(scratch.keys("d/")) == []
