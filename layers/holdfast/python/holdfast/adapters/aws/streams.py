"""Reading objects of S3 in blocks, across broken connections."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import HTTPClientError, IncompleteReadError, ResponseStreamingError

from holdfast.adapters.aws.errors import translated
from holdfast.errors import HoldfastError, StorageThrottled

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BLOCK_BYTES = 1024 * 1024
_TRIES = 6
_LONGEST_PAUSE = 10.0
_BROKEN = (IncompleteReadError, HTTPClientError, ResponseStreamingError)


def blocks(
    client: S3Client,
    where: Mapping[str, Any],
    action: str,
    missing: Mapping[str, type[HoldfastError]],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """
    Yield the object at *where* (Bucket, Key, VersionId) in blocks of 1 MiB.

    A connection that breaks is made again from the byte that it broke at, with the same ETag. After six in a row
    that brought nothing `StorageThrottled` is raised: S3 keeps objects whole, so it is the way to it that is broken.
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
        if position < size:
            _pause(fruitless, sleep, f"{action} ended after {position} of {size} bytes.", where["Key"])


def _pause(fruitless: int, sleep: Callable[[float], None], sentence: str, key: str) -> None:
    """Wait the longer, the more connections brought nothing; raise `StorageThrottled` after the last of them."""
    if fruitless == _TRIES:
        raise StorageThrottled(sentence, key=key)
    if fruitless:
        sleep(random.uniform(0.5, 1) * min(0.5 * 2**fruitless, _LONGEST_PAUSE))  # noqa: S311  # no secret
