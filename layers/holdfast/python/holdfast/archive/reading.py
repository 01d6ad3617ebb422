"""Read objects back and compare every byte with what the manifest says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import zstandard

from holdfast.archive.digest import RowDigest, TableDigest
from holdfast.contracts.manifest import Chunk, Manifest, StoredObject
from holdfast.errors import ArchiveDamaged, RowsTruncated, UnexpectedState
from holdfast.ports.storage import Archive

BLOCK = 1 << 20
# Of zstd's frame format, RFC 8878.
_BLOCK_HEADER, _RUN_LENGTH, _CHECKSUM = 3, 1, 4


def read_object(archive: Archive, pinned: StoredObject) -> bytes:
    """Return the pinned object; raises `ArchiveDamaged` when it is missing or differs."""
    body = archive.read(pinned.key, pinned.version_id)
    if len(body) != pinned.size or hashlib.sha256(body).hexdigest() != pinned.sha256:
        raise ArchiveDamaged("The stored object is not what the manifest says.", key=pinned.key)
    return body


def read_schema_dump(archive: Archive, manifest: Manifest) -> bytes:
    """Return the manifest's schema dump; raises `ArchiveDamaged`, and `UnexpectedState` when the point has none."""
    if manifest.schema_dump is None:
        raise UnexpectedState(f"The recovery point {manifest.point_id} has no schema dump.", point=manifest.point_id)
    return read_object(archive, manifest.schema_dump)


def check_chunk(archive: Archive, key: str, chunk: Chunk, digest_key: bytes) -> TableDigest:
    """
    Read one chunk back, compare size, hash and row count with the manifest, and return the digest of its rows.

    Raises `ArchiveDamaged` with a sentence that says which of them differs. Memory: the compressed chunk.
    """
    digest, hasher = RowDigest(digest_key), hashlib.sha256()
    try:
        for block in _plain(archive.read(key, chunk.version_id), key, chunk):
            hasher.update(block)
            digest.update(block)
        found = digest.finish()
    except zstandard.ZstdError as error:
        raise ArchiveDamaged("It cannot be decompressed.", key=key) from error
    except RowsTruncated as error:
        raise ArchiveDamaged("Its rows end in the middle of one.", key=key) from error
    if hasher.hexdigest() != chunk.sha256:
        raise ArchiveDamaged("Its plain bytes have another SHA-256 than the manifest says.", key=key)
    if found.rows != chunk.rows:
        raise ArchiveDamaged(f"It holds {found.rows} rows; the manifest says {chunk.rows}.", key=key)
    return found


def _plain(body: bytes, key: str, chunk: Chunk) -> Iterator[bytes]:
    """Yield the plain bytes in blocks; raises `ArchiveDamaged` unless both sizes are the manifest's."""
    if len(body) != chunk.stored:
        raise ArchiveDamaged(f"It has {len(body)} bytes; the manifest says {chunk.stored}.", key=key)
    if _frame_end(body) != len(body):
        raise ArchiveDamaged("It is not one whole zstd frame.", key=key)
    plain = 0
    with zstandard.ZstdDecompressor().stream_reader(body) as reader:
        while block := reader.read(BLOCK):
            plain += len(block)
            if plain > chunk.plain:
                raise ArchiveDamaged("It holds more plain bytes than the manifest says.", key=key)
            yield block
    if plain != chunk.plain:
        raise ArchiveDamaged(f"It holds {plain} plain bytes; the manifest says {chunk.plain}.", key=key)


def _frame_end(body: bytes) -> int:
    """
    Return where the first zstd frame of *body* ends, from the sizes that its blocks' headers tell.

    A stream reader hands the rows of a frame out that lacks its end, without the checksum at it; `zstd -t` and
    RESTORE.md would refuse such a chunk. Beyond the body's end when the frame is cut short.
    """
    position, last = zstandard.frame_header_size(body), False
    while not last:
        header = int.from_bytes(body[position : position + _BLOCK_HEADER], "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        if position + _BLOCK_HEADER > len(body):
            return len(body) + 1
        # A run-length block stores its one byte, however long the run.
        position += _BLOCK_HEADER + (1 if kind == _RUN_LENGTH else size)
    return position + (_CHECKSUM if zstandard.get_frame_parameters(body).has_checksum else 0)
