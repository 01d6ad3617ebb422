"""The locked bucket on S3."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from holdfast.adapters.aws.errors import code_of, translated
from holdfast.adapters.aws.multipart import PART_BYTES, put_parts
from holdfast.adapters.aws.streams import blocks
from holdfast.errors import ArchiveDamaged, StorageThrottled
from holdfast.ports.storage import Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 takes up to 5 GiB in one request; beyond this a broken connection would cost too much again.
SINGLE_PUT_BYTES = 100 * 1024 * 1024
_TRIES = 6
_ABSENT = {"404", "NoSuchKey", "NoSuchVersion", "NotFound"}
# A version that is a delete marker answers 405; PreconditionFailed means that it changed while it was read.
_MISSING = dict.fromkeys((*_ABSENT, "405", "MethodNotAllowed", "412", "PreconditionFailed"), ArchiveDamaged)
# HEAD has no body that could name the error; an id that is none of the bucket's is a bad request.
_NO_VERSION = {*_MISSING, "400"}


class _Contended(StorageThrottled):
    """Another writer is at work on the key (409) or was first (412); never leaves this module."""


_CONTENDED = dict.fromkeys(("409", "412", "ConditionalRequestConflict", "PreconditionFailed"), _Contended)


class S3Archive:
    """`Archive` over a versioned bucket with Object Lock; encryption is the bucket's default."""

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        single_put_bytes: int = SINGLE_PUT_BYTES,
        part_bytes: int = PART_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._single_put_bytes = single_put_bytes
        self._part_bytes = part_bytes
        self._sleep = sleep

    def put(self, key: str, body: bytes, *, sha256: str, retain_until: datetime | None = None) -> Stored:
        """
        Store *body* unless something is there; an object that is there gets its lock extended to *retain_until*.

        Two writers of one key meet as 409 (both at work: try again) or 412 (the other was first).
        """
        locked = _whole_second(retain_until)
        for attempt in range(_TRIES):
            try:
                with translated(f"Storing {key} in the archive", _CONTENDED):
                    return self._create(key, body, sha256, locked)
            except _Contended:
                existing = self._existing(key, locked)
            if existing:
                return existing
            self._sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311  # spreads writers, is no secret
        raise StorageThrottled(f"Storing {key} in the archive was put off: another writer is at work on it.", key=key)

    def find(self, key: str, *, retain_until: datetime | None = None) -> Stored | None:
        """Return the newest version under *key*, locked long enough; below a delete marker there is none."""
        return self._existing(key, _whole_second(retain_until))

    def withdraw(self, key: str, version_id: str) -> None:
        """
        Put a delete marker on *key* if *version_id* is its newest version.

        A writer may come between look and marker; its version is then hidden too, and stored once more.
        """
        head = self._head(key)
        if head and head["VersionId"] == version_id:
            with translated(f"Withdrawing {key} in the archive"):
                self._client.delete_object(Bucket=self._bucket, Key=key)

    def size(self, key: str, version_id: str) -> int | None:
        """Return how many bytes that version has, or nothing when it is missing."""
        head = self._head(key, version_id)
        return head["ContentLength"] if head else None

    def read(self, key: str, version_id: str | None = None) -> bytes:
        """Return a whole object."""
        return b"".join(self.stream(key, version_id))

    def stream(self, key: str, version_id: str | None = None) -> Iterator[bytes]:
        """Yield an object in blocks of 1 MiB; a broken connection is taken up again where it broke."""
        pinned = {"VersionId": version_id} if version_id else {}
        where = {"Bucket": self._bucket, "Key": key, **pinned}
        return blocks(self._client, where, f"Reading {key} from the archive", _MISSING, sleep=self._sleep)

    def _create(self, key: str, body: bytes, sha256: str, retain_until: datetime | None) -> Stored:
        """Create the object; the service checks *sha256* and that nothing is there."""
        lock: dict[str, Any] = {}
        if retain_until:
            lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": retain_until}
        target: dict[str, Any] = {"Bucket": self._bucket, "Key": key}
        if len(body) > self._single_put_bytes:
            version = put_parts(self._client, target, body, lock, self._part_bytes)
        else:
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            version = self._client.put_object(
                **target, Body=body, IfNoneMatch="*", ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum, **lock
            )["VersionId"]
        return Stored(version, len(body), created=True)

    def _existing(self, key: str, retain_until: datetime | None) -> Stored | None:
        """Return what is there, locked at least until *retain_until*: a chunk outlives the point that brought it."""
        head = self._head(key)
        if not head:
            return None
        locked_until = head.get("ObjectLockRetainUntilDate")
        if (
            retain_until
            and (locked_until is None or locked_until < retain_until)
            and not self._extended(key, head["VersionId"], retain_until)
        ):
            return None
        return Stored(head["VersionId"], head["ContentLength"], created=False)

    def _extended(self, key: str, version_id: str, retain_until: datetime) -> bool:
        """Lock the version until then; False when it is gone: what was unneeded until now may be collected just now."""
        with translated(f"Extending the lock of {key}"):
            try:
                self._client.put_object_retention(
                    Bucket=self._bucket,
                    Key=key,
                    VersionId=version_id,
                    Retention={"Mode": "GOVERNANCE", "RetainUntilDate": retain_until},
                )
            except ClientError as error:
                if code_of(error) in _ABSENT:
                    return False
                raise
        return True

    def _head(self, key: str, version_id: str = "") -> dict[str, Any] | None:
        """Return the headers of the newest version, or of the one that is named, or nothing."""
        where: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        with translated(f"Looking for {key} in the archive"):
            try:
                return dict(self._client.head_object(Bucket=self._bucket, Key=key, **where))
            except ClientError as error:
                if code_of(error) in (_NO_VERSION if version_id else _ABSENT):
                    return None
                raise


def _whole_second(time: datetime | None) -> datetime | None:
    """Return *time* rounded up: S3 keeps no microseconds, and a lock must not end early or look shorter than asked."""
    if time is None or time.microsecond == 0:
        return time
    return time.replace(microsecond=0) + timedelta(seconds=1)
