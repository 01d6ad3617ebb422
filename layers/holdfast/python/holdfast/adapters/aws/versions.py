"""Every version in the locked bucket, and their removal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from holdfast.adapters.aws.errors import code_of, translated
from holdfast.errors import BadConfiguration, StorageThrottled, UnexpectedState
from holdfast.model.collecting import Version
from holdfast.ports.storage import Kept, Page

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LOOKING = 8
_HOLDING = 32
_LATER = {"InternalError", "ServiceUnavailable", "SlowDown"}
_GONE = {"404", "NoSuchKey", "NoSuchVersion"}


class S3Versions:
    """`Versions` over a versioned bucket with Object Lock."""

    def __init__(self, client: S3Client, bucket: str, *, page_keys: int = 1000) -> None:
        self._client, self._bucket, self._page_keys = client, bucket, page_keys

    def page(self, prefix: str, after: str = "") -> Page:
        """
        Return the next page without its last key, whose versions may go on in the following one.

        A list that goes on after a key, and not after a version of it, skips what is left of that key.
        """
        begin: dict[str, str] = {"KeyMarker": after} if after else {}
        found = list[Version]()
        while True:
            answer = self._list(prefix, begin)
            found += [*map(_version, answer.get("Versions", [])), *map(_marker, answer.get("DeleteMarkers", []))]
            seen_at = _date(answer["ResponseMetadata"]["HTTPHeaders"], prefix)
            if not answer["IsTruncated"]:
                return Page(_in_order(found), seen_at, None)
            keys = sorted({one.key for one in found})
            if len(keys) > 1:  # the last one is held back, and one must be left
                return Page(_in_order(one for one in found if one.key != keys[-1]), seen_at, keys[-2])
            # One key has more versions than a page: the list goes on after one of those.
            names = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
            further = {name: answer[told] for name, told in names.items() if answer.get(told)}
            if len(further) < 2 or further == begin:
                raise UnexpectedState(
                    f"The list of {prefix} in the archive does not go on after {after or 'its start'}."
                )
            begin = further

    def _list(self, prefix: str, begin: Mapping[str, str]) -> Any:
        markers: Any = begin
        with translated(f"Listing the versions of {prefix} in the archive"):
            return self._client.list_object_versions(
                Bucket=self._bucket, Prefix=prefix, MaxKeys=self._page_keys, **markers
            )

    def locked(self, versions: Sequence[Version]) -> Sequence[Kept]:
        """Ask for the lock of each version, several at once."""
        stored = [one for one in versions if not one.marker]
        found = zip(stored, self._locks(stored), strict=True)
        return [Kept(one, lock.end) for one, lock in found if lock and lock.protects]

    def remove(self, versions: Sequence[Version]) -> Sequence[Kept]:
        """Remove *versions* in one request; what it refuses is asked for its lock."""
        wanted: list[Any] = [{"Key": one.key, "VersionId": one.version_id} for one in versions]
        with translated("Removing versions from the archive"):
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": wanted})
        removed = {(one["Key"], one.get("VersionId")) for one in answer.get("Deleted", [])}
        refused = [one for one in versions if (one.key, one.version_id) not in removed]
        codes = {one.get("Code", "") for one in answer.get("Errors", [])}
        if codes & _LATER:
            raise StorageThrottled(f"Removing versions from the archive was put off: {min(codes & _LATER)}.")
        return [_kept(one, lock, codes) for one, lock in zip(refused, self._locks(refused), strict=True)]

    def hold(self, versions: Sequence[Version], *, on: bool) -> int:
        """Set or end the legal hold of each version, several at once."""
        with ThreadPoolExecutor(_HOLDING, thread_name_prefix="holds") as pool:
            return sum(pool.map(lambda one: not self._hold(one, on=on), versions))

    def _hold(self, version: Version, *, on: bool) -> bool:
        """Set or end the hold of one version; False when it is gone."""
        with translated(f"Setting the legal hold of {version.key}"):
            try:
                self._client.put_object_legal_hold(
                    Bucket=self._bucket,
                    Key=version.key,
                    VersionId=version.version_id,
                    LegalHold={"Status": "ON" if on else "OFF"},
                )
            except ClientError as error:
                if code_of(error) in _GONE:
                    return False
                raise
        return True

    def _locks(self, versions: Sequence[Version]) -> Sequence[_Lock | None]:
        with ThreadPoolExecutor(_LOOKING, thread_name_prefix="locks") as pool:
            return list(pool.map(self._lock, versions))

    def _lock(self, version: Version) -> _Lock | None:
        """Return what protects a version; None when it is gone."""
        with translated(f"Looking at the lock of {version.key}"):
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=version.key, VersionId=version.version_id)
            except ClientError as error:
                if code_of(error) in _GONE:
                    return None
                raise
        held = head.get("ObjectLockLegalHoldStatus") == "ON"
        seen_at = _date(head["ResponseMetadata"]["HTTPHeaders"], version.key)
        return _Lock(head.get("ObjectLockRetainUntilDate"), held, seen_at)


@dataclass(frozen=True, slots=True)
class _Lock:
    """What the headers of a version say about its lock; *seen_at* is the service's own time."""

    until: datetime | None
    held: bool
    seen_at: datetime

    @property
    def protects(self) -> bool:
        """Whether nobody may remove the version now."""
        return self.held or (self.until is not None and self.until > self.seen_at)

    @property
    def end(self) -> datetime | None:
        """Return when the lock ends by itself; a legal hold does not."""
        return None if self.held else self.until


def _kept(version: Version, lock: _Lock | None, codes: set[str]) -> Kept:
    if lock is None or not (lock.held or lock.until):
        raise BadConfiguration(
            f"{version.key} could not be removed ({', '.join(sorted(codes))}), and no lock protects it.",
            hint="Check that the role of the function may delete versions of it.",
            key=version.key,
        )
    return Kept(version, lock.end)


def _in_order(versions: Iterable[Version]) -> tuple[Version, ...]:
    return tuple(sorted(versions, key=lambda one: one.key))


def _version(found: Any) -> Version:
    return Version(found["Key"], found["VersionId"], found["LastModified"].astimezone(UTC), found["Size"])


def _marker(found: Any) -> Version:
    return Version(found["Key"], found["VersionId"], found["LastModified"].astimezone(UTC), marker=True)


def _date(headers: Mapping[str, str], prefix: str) -> datetime:
    """Return the service's own time: it dated the versions, so it says how old they are."""
    try:
        return parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError) as error:
        raise UnexpectedState(f"Listing the versions of {prefix} in the archive told no time.") from error
