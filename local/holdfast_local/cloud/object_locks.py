"""
Make Object Lock hold for every way in which an object is written.

ministack drops the lock of a multipart upload (its own and the bucket's default), lets a copy inherit
the lock of its source, and takes a date in the past.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from holdfast_local.cloud import hooks

UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)")


def install() -> None:
    """Correct multipart uploads, copies and dates."""
    service = hooks.module("ministack.services.s3")
    _install_multipart(service)
    _install_copy(service)
    _install_dates(service)


def _install_multipart(service: Any) -> None:
    pending: dict[str, dict[str, str]] = {}

    def create(bucket_name: str, key: str, headers: dict[str, str]) -> Any:
        answer = original_create(bucket_name, key, headers)
        if answer[0] == 200 and (found := UPLOAD_ID.search(answer[2])):
            names = service._OBJECT_LOCK_HEADERS
            pending[found[1].decode()] = {name: headers[name] for name in names if name in headers}
        return answer

    def complete(bucket_name: str, key: str, body: bytes, query_params: Any, headers: Any = None) -> Any:
        upload = service._qp(query_params, "uploadId", "")
        answer = original_complete(bucket_name, key, body, query_params, headers)
        version = _version(answer)
        if answer[0] == 200 and version and upload in pending:
            service._apply_object_lock_from_headers(bucket_name, key, pending.pop(upload), version)
        return answer

    original_create = hooks.replace(
        service, "_create_multipart_upload", create, expects=("bucket_name", "key", "headers")
    )
    original_complete = hooks.replace(
        service,
        "_complete_multipart_upload",
        complete,
        expects=("bucket_name", "key", "body", "query_params", "headers"),
    )


def _install_copy(service: Any) -> None:
    def copy(bucket_name: str, dest_key: str, headers: dict[str, str]) -> Any:
        answer = original(bucket_name, dest_key, headers)
        version = _version(answer)
        if answer[0] == 200 and version:
            place = (bucket_name, dest_key, version)
            for store in (service._object_retention, service._object_legal_hold):
                store.pop(place, None)
            service._apply_object_lock_from_headers(bucket_name, dest_key, headers, version)
        return answer

    original = hooks.replace(service, "_copy_object", copy, expects=("bucket_name", "dest_key", "headers"))


def _install_dates(service: Any) -> None:
    def refuse_past(bucket_name: str, headers: dict[str, str]) -> Any:
        until = headers.get("x-amz-object-lock-retain-until-date")
        if until and _moment(until) <= datetime.datetime.now(datetime.UTC):
            return service._error("InvalidArgument", "The retain until date must be in the future!", 400)
        return original(bucket_name, headers)

    original = hooks.replace(service, "_object_lock_header_error", refuse_past, expects=("bucket_name", "headers"))


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _version(answer: Any) -> str | None:
    headers = answer[1] or {}
    return next((value for name, value in headers.items() if name.lower() == "x-amz-version-id"), None)
