"""Reading objects of S3 in blocks, across broken connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

from holdfast.adapters.aws.errors import translated
from holdfast.errors import ArchiveDamaged, HoldfastError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BLOCK_BYTES = 1024 * 1024
_TRIES = 4
_BROKEN = (IncompleteReadError, HTTPClientError, ResponseStreamingError)


def blocks(
    client: S3Client, where: Mapping[str, Any], action: str, missing: Mapping[str, type[HoldfastError]]
) -> Iterator[bytes]:
    """
    Yield the object at *where* (Bucket, Key, VersionId) in blocks of 1 MiB.

    A connection that breaks is made again from the byte that it broke at, with the same ETag; after four
    that brought nothing the object counts as cut short and `ArchiveDamaged` is raised.
    """
    position, size, tag, fruitless = 0, None, "", 0
    while size is None or position < size:
        rest: dict[str, Any] = {"Range": f"bytes={position}-", "IfMatch": tag} if position else {}
        with translated(action, missing):
            answer = client.get_object(**where, **rest)
        size, tag = position + answer["ContentLength"], answer["ETag"]
        before = position
        try:
            while block := answer["Body"].read(BLOCK_BYTES):
                position += len(block)
                yield block
        except _BROKEN:
            pass
        finally:
            answer["Body"].close()
        fruitless = 0 if position > before else fruitless + 1
        if position < size and fruitless == _TRIES:
            raise ArchiveDamaged(f"{action} ended after {position} of {size} bytes.", key=where["Key"])
