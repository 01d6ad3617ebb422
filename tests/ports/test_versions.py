"""What every view of versions promises, and what locks and markers do to those who look for a chunk."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.model.collecting import Version
from holdfast.ports.storage import Stored

from .conftest import Shelf

pytestmark = pytest.mark.xdist_group("versions")

PREFIX = "shop/chunks/"
KEY = f"{PREFIX}ab/abcd.zst"
SOON, LATER = (datetime.now(UTC) + timedelta(days=days) for days in (3, 30))


def put(shelf: Shelf, key: str = KEY, body: bytes = b"rows", until: datetime | None = None) -> Stored:
    return shelf.archive.put(key, body, sha256=hashlib.sha256(body).hexdigest(), retain_until=until)


def listed(shelf: Shelf, prefix: str = PREFIX) -> list[Version]:
    found: list[Version] = []
    after: str | None = ""
    while after is not None:
        page = shelf.versions.page(prefix, after)
        assert abs(page.seen_at - datetime.now(UTC)) < timedelta(minutes=5)
        found += page.versions
        after = page.after
    return found


def test_all_versions_and_markers_of_a_prefix_are_listed_by_key(shelf: Shelf) -> None:
    for number in range(11):
        put(shelf, f"{PREFIX}{number:02}")
    put(shelf, "shop/points/p/manifest.json")
    first = put(shelf)
    shelf.archive.withdraw(KEY, first.version_id)
    second = put(shelf, body=b"other")

    found = listed(shelf)

    assert [one.key for one in found] == [*(f"{PREFIX}{number:02}" for number in range(11)), KEY, KEY, KEY]
    assert {(one.version_id, one.size) for one in found[-3:] if not one.marker} == {
        (first.version_id, 4),
        (second.version_id, 5),
    }
    assert [one.marker for one in found].count(True) == 1
    assert listed(shelf, "shop/nothing/") == []


def test_a_key_with_more_versions_than_a_page_ends_no_list(shelf: Shelf) -> None:
    put(shelf, f"{PREFIX}00")
    for number in range(7):
        shelf.archive.withdraw(KEY, put(shelf, body=b"again %d" % number).version_id)
    put(shelf, f"{KEY}z")

    found = listed(shelf)

    assert [one.key for one in found] == [f"{PREFIX}00", *[KEY] * 14, f"{KEY}z"]
    assert len({one.version_id for one in found}) == 16


def test_what_is_removed_is_gone_for_ever_and_may_be_removed_again(shelf: Shelf) -> None:
    put(shelf)
    shelf.archive.withdraw(KEY, put(shelf).version_id)
    versions = listed(shelf)

    assert shelf.versions.remove(versions) == []
    assert shelf.versions.remove(versions) == []

    assert listed(shelf) == []


def test_a_locked_version_is_kept_and_told_until_when(shelf: Shelf) -> None:
    put(shelf, until=LATER)
    put(shelf, f"{PREFIX}00")

    (kept,) = shelf.versions.remove(listed(shelf))

    assert kept.version.key == KEY
    assert abs(kept.retained_until - LATER) <= timedelta(seconds=1)
    assert [one.key for one in listed(shelf)] == [KEY]


def retained_until(shelf: Shelf) -> datetime:
    """Return until when the version is locked, as somebody learns who tries to remove it."""
    (kept,) = shelf.versions.remove([one for one in listed(shelf) if not one.marker][:1])
    return kept.retained_until


def test_a_chunk_that_is_found_is_locked_for_the_point_that_found_it(shelf: Shelf) -> None:
    put(shelf, until=SOON)

    found = shelf.archive.find(KEY, retain_until=LATER)

    assert found is not None
    assert abs(retained_until(shelf) - LATER) <= timedelta(seconds=1)


def test_a_shorter_retention_never_shortens_a_lock(shelf: Shelf) -> None:
    put(shelf, until=LATER)

    shelf.archive.find(KEY, retain_until=SOON)
    put(shelf, until=SOON)

    assert abs(retained_until(shelf) - LATER) <= timedelta(seconds=1)


def test_only_the_newest_version_is_locked_for_longer_and_never_one_below_a_marker(shelf: Shelf) -> None:
    first = put(shelf, until=SOON)
    shelf.archive.withdraw(KEY, first.version_id)

    assert shelf.archive.find(KEY, retain_until=LATER) is None

    assert abs(retained_until(shelf) - SOON) <= timedelta(seconds=1)
    second = put(shelf, body=b"other", until=SOON)
    assert shelf.archive.find(KEY, retain_until=LATER) == Stored(second.version_id, 5, created=False)
    kept = {one.version.version_id: one.retained_until for one in shelf.versions.remove(listed(shelf)[:3])}
    assert kept[second.version_id] - kept[first.version_id] > timedelta(days=20)
