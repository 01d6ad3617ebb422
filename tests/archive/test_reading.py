"""Chunks that are read back: nothing short of one whole frame with exactly the rows of the manifest passes."""

from __future__ import annotations

import hashlib

import pytest
import zstandard

from fakes import MemoryArchive
from holdfast.archive.reading import check_chunk
from holdfast.archive.writing import compressed
from holdfast.contracts.manifest import Chunk
from holdfast.errors import ArchiveDamaged

KEY = "shop/chunks/ab/abcd.zst"
DIGEST_KEY = bytes(32)
# Stored, compressed and run-length blocks, and more than one of them.
ROWS = b"".join(hashlib.sha256(bytes([n & 255, n >> 8])).hexdigest().encode() + b"\n" for n in range(9000))
ROWS += b"x" * 2**20 + b"\n"


def stored(body: bytes, rows: bytes = ROWS) -> tuple[MemoryArchive, Chunk]:
    archive = MemoryArchive()
    version = archive.put(KEY, body, sha256=hashlib.sha256(body).hexdigest()).version_id
    chunk = Chunk(
        sha256=hashlib.sha256(rows).hexdigest(),
        version_id=version,
        rows=rows.count(b"\n"),
        plain=len(rows),
        stored=len(body),
        first_block=0,
        end_block=None,
    )
    return archive, chunk


@pytest.mark.parametrize("rows", [ROWS, b"1\n", b""], ids=["many blocks", "one row", "nothing"])
def test_a_whole_chunk_passes(rows: bytes) -> None:
    archive, chunk = stored(compressed(rows), rows)

    assert check_chunk(archive, KEY, chunk, DIGEST_KEY).rows == chunk.rows


@pytest.mark.parametrize("missing", [1, 2, 3, 4, 5, 8])
def test_a_frame_without_its_end_is_damaged_even_where_all_rows_come_out(missing: int) -> None:
    archive, chunk = stored(compressed(ROWS)[:-missing])

    with pytest.raises(ArchiveDamaged):
        check_chunk(archive, KEY, chunk, DIGEST_KEY)


@pytest.mark.parametrize("more", [b"\0", compressed(b""), compressed(ROWS)], ids=["a byte", "an empty frame", "rows"])
def test_anything_after_the_frame_is_damage(more: bytes) -> None:
    archive, chunk = stored(compressed(ROWS) + more)

    with pytest.raises(ArchiveDamaged):
        check_chunk(archive, KEY, chunk, DIGEST_KEY)


def test_a_frame_without_checksum_is_read_by_its_blocks() -> None:
    archive, chunk = stored(zstandard.ZstdCompressor(write_checksum=False).compress(ROWS))

    assert check_chunk(archive, KEY, chunk, DIGEST_KEY).rows == chunk.rows
