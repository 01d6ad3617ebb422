"""Objects too big for one request, stored in parts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

# At most 10,000 parts of at least 5 MiB each, says S3.
PART_BYTES = 32 * 1024 * 1024


def put_parts(
    client: S3Client, target: Mapping[str, Any], body: bytes, lock: Mapping[str, Any], part_bytes: int
) -> str:
    """
    Store *body* at *target* (Bucket, Key) unless something is there, and return the version.

    Each part carries its SHA-256; the lock is set when the upload begins, the condition is checked when
    it completes. An upload that fails is aborted, so that its parts cost nothing.
    """
    upload = client.create_multipart_upload(**target, ChecksumAlgorithm="SHA256", **lock)["UploadId"]
    try:
        parts = [
            _put_part(client, target, upload, number, body[begin : begin + part_bytes])
            for number, begin in enumerate(range(0, len(body), part_bytes), start=1)
        ]
        answer = client.complete_multipart_upload(
            **target,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException:
        with suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(**target, UploadId=upload)
        raise
    return answer["VersionId"]


def _put_part(
    client: S3Client, target: Mapping[str, Any], upload: str, number: int, part: bytes
) -> CompletedPartTypeDef:
    """Store one part and return what completing names it by."""
    checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
    answer = client.upload_part(
        **target,
        UploadId=upload,
        PartNumber=number,
        Body=part,
        ChecksumSHA256=checksum,
    )
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}
