"""The bucket of plans and progress on S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from holdfast.adapters.aws.errors import code_of, translated
from holdfast.errors import StorageThrottled

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


_EXISTS = {"412", "PreconditionFailed"}
_CONFLICT = dict.fromkeys(("409", "ConditionalRequestConflict"), StorageThrottled)
"""Another writer is at work on the key: who was first is known a moment later."""


class S3Scratch:
    """`Scratch` over a bucket without lock whose objects expire."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @property
    def bucket(self) -> str:
        """Return the bucket's name, for the Map's reader."""
        return self._bucket

    def write(self, key: str, body: bytes) -> None:
        """Store *body* under *key*, replacing what was there."""
        with translated(f"Writing {key} to scratch"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    def create(self, key: str, body: bytes) -> bool:
        """Store *body* under *key* unless something is there; the service decides between two at once."""
        with translated(f"Creating {key} in scratch", _CONFLICT):
            try:
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) in _EXISTS:
                    return False
                raise
        return True

    def read(self, key: str) -> bytes | None:
        """Return the object, or nothing."""
        with translated(f"Reading {key} from scratch"):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with *prefix*; S3 lists them sorted, a thousand at a time."""
        pages = iter(self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix))
        while True:
            with translated(f"Listing {prefix} in scratch"):
                page = next(pages, None)
            if page is None:
                return
            yield from (item["Key"] for item in page.get("Contents", []))
