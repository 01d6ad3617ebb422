"""Read objects back and compare every byte with what the manifest says."""

from __future__ import annotations

import hashlib

import zstandard

from holdfast.archive.digest import RowDigest, TableDigest
from holdfast.contracts.manifest import Chunk, StoredObject
from holdfast.errors import ArchiveDamaged, RowsTruncated
from holdfast.ports.storage import Archive

BLOCK = 4 << 20


def read_object(archive: Archive, pinned: StoredObject) -> bytes:
    """Return the pinned object; raises `ArchiveDamaged` when it is missing or differs."""
    body = archive.read(pinned.key, pinned.version_id)
    if len(body) != pinned.size or hashlib.sha256(body).hexdigest() != pinned.sha256:
        raise ArchiveDamaged("The stored object is not what the manifest says.", key=pinned.key)
    return body


def check_chunk(archive: Archive, key: str, chunk: Chunk, digest_key: bytes) -> TableDigest:
    """
    Read one chunk back, compare size, hash and row count with the manifest, and return the digest of its rows.

    Raises `ArchiveDamaged` with a sentence that says which of them differs.
    """
    plain = plain_bytes(archive, key, chunk)
    digest = RowDigest(digest_key)
    with memoryview(plain) as view:
        for first in range(0, len(view), BLOCK):
            digest.update(view[first : first + BLOCK])
    try:
        found = digest.finish()
    except RowsTruncated as error:
        raise ArchiveDamaged("Its rows end in the middle of one.", key=key) from error
    if found.rows != chunk.rows:
        raise ArchiveDamaged(f"It holds {found.rows} rows; the manifest says {chunk.rows}.", key=key)
    return found


def plain_bytes(archive: Archive, key: str, chunk: Chunk) -> bytes:
    """Return a chunk's plain bytes; raises `ArchiveDamaged` unless they are exactly those of the manifest."""
    body = archive.read(key, chunk.version_id)
    if len(body) != chunk.stored:
        raise ArchiveDamaged(f"It has {len(body)} bytes; the manifest says {chunk.stored}.", key=key)
    try:
        # The frame names its size; one that promises more than the manifest is not worth the memory.
        if zstandard.frame_content_size(body) != chunk.plain:
            raise ArchiveDamaged("Its compressed form names another size than the manifest.", key=key)
        plain = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ArchiveDamaged("It cannot be decompressed.", key=key) from error
    if hashlib.sha256(plain).hexdigest() != chunk.sha256:
        raise ArchiveDamaged("Its plain bytes have another SHA-256 than the manifest says.", key=key)
    return plain
