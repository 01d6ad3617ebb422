"""All versions that a point pins are looked at, with few requests, and none is taken for there that is not."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from fakes import MemoryArchive
from holdfast.contracts.manifest import Chunk
from holdfast.model.keys import ArchiveKeys
from holdfast.usecases.restore.sizes import PER_PAGE, sizes_of

KEYS = ArchiveKeys("shop")
PAGE = 100
FOLDER = 3 * PER_PAGE


class CountingArchive(MemoryArchive):
    """Counts what is asked."""

    def __init__(self) -> None:
        super().__init__(page_keys=PAGE)
        self.asked: Counter[str] = Counter()

    def size(self, key: str, version_id: str) -> int | None:
        self.asked["sizes"] += 1
        return super().size(key, version_id)

    def page(self, prefix: str, after: str = ""):
        self.asked["pages"] += 1
        return super().page(prefix, after)


@pytest.fixture
def archive() -> CountingArchive:
    return CountingArchive()


def _store(archive: CountingArchive, number: int) -> Chunk:
    """Store a chunk in the folder `aa`, whatever the hash of its content is: chunks are found by their names."""
    body = str(number).encode()
    name = f"aa{hashlib.sha256(body).hexdigest()[2:]}"
    stored = archive.put(KEYS.chunk(name), body, sha256=hashlib.sha256(body).hexdigest())
    return Chunk(sha256=name, version_id=stored.version_id, rows=1, plain=len(body), stored=len(body))


def test_many_chunks_of_a_folder_are_listed(archive: CountingArchive) -> None:
    chunks = [_store(archive, number) for number in range(FOLDER)]

    found = sizes_of([*chunks, *chunks], KEYS, archive, archive)

    assert found == {(KEYS.chunk(chunk.sha256), chunk.version_id): chunk.stored for chunk in chunks}
    assert archive.asked == {"pages": 2}


def test_few_chunks_are_asked_for_one_by_one(archive: CountingArchive) -> None:
    chunks = [_store(archive, number) for number in range(FOLDER)][: PER_PAGE - 1]

    found = sizes_of(chunks, KEYS, archive, archive)

    assert len(found) == PER_PAGE - 1
    assert archive.asked == {"sizes": PER_PAGE - 1}


def test_a_list_that_goes_on_and_on_is_given_up(archive: CountingArchive) -> None:
    every = [_store(archive, number) for number in range(20 * PAGE)]
    chunks = sorted(every, key=lambda chunk: chunk.sha256)[-FOLDER:]

    found = sizes_of(chunks, KEYS, archive, archive)

    assert len(found) == FOLDER
    assert archive.asked == {"pages": FOLDER // PER_PAGE, "sizes": FOLDER}


@pytest.mark.parametrize("count", [FOLDER, 1], ids=["listed", "asked for"])
def test_another_version_under_the_same_name_is_not_the_one_that_is_pinned(
    archive: CountingArchive, count: int
) -> None:
    chunks = [_store(archive, number) for number in range(count)]
    gone, key = chunks[0], KEYS.chunk(chunks[0].sha256)
    archive.withdraw(key, gone.version_id)
    archive.versions[key] = [each for each in archive.versions[key] if each.id != gone.version_id]
    archive.put(key, b"0", sha256=hashlib.sha256(b"0").hexdigest())

    found = sizes_of(chunks, KEYS, archive, archive)

    assert (key, gone.version_id) not in found
    assert len(found) == count - 1


def test_a_version_under_a_delete_marker_is_there(archive: CountingArchive) -> None:
    chunks = [_store(archive, number) for number in range(FOLDER)]
    archive.withdraw(KEYS.chunk(chunks[0].sha256), chunks[0].version_id)

    assert len(sizes_of(chunks, KEYS, archive, archive)) == FOLDER
