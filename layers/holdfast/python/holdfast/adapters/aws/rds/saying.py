"""What RDS's error codes, states and tags mean to us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from holdfast.adapters.plain import plain
from holdfast.errors import (
    HoldfastError,
    ProviderBusy,
    ProviderMissing,
    ProviderQuota,
    ProviderRefused,
    ProviderUnauthorised,
    ProviderUnreachable,
    UnexpectedState,
)
from holdfast.ports.providers import Progress

Document = Mapping[str, Any]
PREFIX = "holdfast-"
TAG = "holdfast:copy-of"
"""What we make bears the source's id in this tag; nothing without it is ever deleted."""
LASTING_TAG = "holdfast:restored-from"
"""What is to take the source's place bears it in this one instead."""

_LATER = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
_LATER_STATUS = {HTTPStatus.LOCKED, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_UNAUTHORISED = {
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "KMSKeyNotAccessibleFault",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_SNAPSHOTS = {
    "available": Progress.AVAILABLE,
    "copying": Progress.CREATING,
    "creating": Progress.CREATING,
    "deleting": Progress.DELETING,
    "failed": Progress.FAILED,
}
_USABLE = {"available", "backing-up", "storage-optimization", "storage-config-upgrade", "storage-initialization"}
_UNDER_WAY = (
    "backtracking",
    "cloning",
    "configuring-",
    "creating",
    "maintenance",
    "migrating",
    "modifying",
    "moving-to-vpc",
    "promoting",
    "rebooting",
    "renaming",
    "resetting-master-credentials",
    "starting",
    "upgrading",
)
_LOST = ("failed", "inaccessible-encryption-credentials", "incompatible-", "restore-error", "stopp", "storage-full")


@contextmanager
def telling(doing: str) -> Iterator[None]:
    """Raise our errors in place of botocore's; *doing* completes "RDS refused …"."""
    try:
        yield
    except ClientError as error:
        # Not `from error`: what AWS says of a signature quotes the caller's session token.
        raise _meaning(error, doing) from None
    except BotoCoreError as error:
        raise ProviderUnreachable(f"RDS did not answer while {doing}: {type(error).__name__}.") from error
    except (KeyError, IndexError, ResponseParserError) as error:
        raise UnexpectedState(f"RDS answered something unknown while {doing}: {type(error).__name__}.") from None


def _meaning(error: ClientError, doing: str) -> HoldfastError:
    said = error.response.get("Error", {})
    code, status = str(said.get("Code", "")), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _UNAUTHORISED or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        told = f"RDS answered {code} while {doing}."
        return ProviderUnauthorised(told, hint="Check the function's role and the key of the snapshot.")
    told = f"RDS answered {code} while {doing}: {plain(str(said.get('Message', ''))).rstrip('.') or 'no reason'}."
    if code in _LATER or status in _LATER_STATUS or _is_of_state(code):
        return ProviderBusy(told)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProviderUnreachable(told)
    if "QuotaExceeded" in code:
        return ProviderQuota(told)
    if "NotFound" in code or status == HTTPStatus.NOT_FOUND:
        return ProviderMissing(told)
    return ProviderRefused(told, code=code)


def _is_of_state(code: str) -> bool:
    """Answer whether an error says that a thing is in a state that passes."""
    return code.startswith("Invalid") and code.removesuffix("Fault").endswith("State")


def snapshot_progress(status: str) -> Progress:
    """Return what the state of a snapshot means; an unknown state is an error."""
    if status not in _SNAPSHOTS:
        raise UnexpectedState(f"RDS says that a snapshot is {status!r}, which Holdfast does not know.")
    return _SNAPSHOTS[status]


def server_progress(status: str) -> Progress:
    """Return what the state of an instance or cluster means; an unknown state is an error."""
    if status in _USABLE:
        return Progress.AVAILABLE
    if status == "deleting":
        return Progress.DELETING
    if status.startswith(_UNDER_WAY):
        return Progress.CREATING
    if status.startswith(_LOST):
        return Progress.FAILED
    raise UnexpectedState(f"RDS says that a database is {status!r}, which Holdfast does not know.")


def tags_of(source_id: str, inherited: Iterable[Document], *, lasting: bool = False) -> list[dict[str, str]]:
    """Return the tags of a copy: the source's own, but for AWS's, and ours, which says whether we may delete it."""
    own = LASTING_TAG if lasting else TAG
    kept = {str(tag["Key"]): str(tag.get("Value", "")) for tag in inherited if not _of_aws_or_ours(str(tag["Key"]))}
    return [{"Key": key, "Value": value} for key, value in {**kept, own: source_id}.items()]


def _of_aws_or_ours(key: str) -> bool:
    return key.startswith("aws:") or key in {TAG, LASTING_TAG}


def as_json(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *document* with moments as text, as JSON takes it."""
    found: Mapping[str, Any] = json.loads(json.dumps(document, default=str))
    return found


def is_ours(document: Document, source_id: str) -> bool:
    """Answer whether a thing is one that we made of *source_id*."""
    tags = {tag["Key"]: tag.get("Value") for tag in document.get("TagList", ())}
    return tags.get(TAG) == source_id


def not_ours(name: str) -> ProviderRefused:
    """Return the refusal to delete what we did not make."""
    return ProviderRefused(
        f"{name} is not a copy of Holdfast's.", hint="Delete it in the RDS console if it is not needed."
    )
