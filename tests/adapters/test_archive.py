"""What only the archive on S3 can show: locks, versions, parts, contention and broken connections."""

from __future__ import annotations

import base64
import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from holdfast.adapters.aws import Clients, S3Archive
from holdfast.errors import ArchiveDamaged, BadConfiguration, StorageThrottled, UnexpectedState

KEY = "shop/chunks/ab/abcd.zst"
BODY = b"rows"
HASH = hashlib.sha256(BODY).hexdigest()
NEXT_YEAR = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)
CONFLICT = ("put_object", "ConditionalRequestConflict", "", 409)
PRECONDITION = ("put_object", "PreconditionFailed", "", 412)


@pytest.fixture
def archive(clients: Clients) -> S3Archive:
    return S3Archive(clients.s3, "archive", single_put_bytes=6 * 2**20, part_bytes=5 * 2**20, sleep=lambda _: None)


def locked_until(clients: Clients) -> datetime | None:
    return clients.s3.head_object(Bucket="archive", Key=KEY).get("ObjectLockRetainUntilDate")


def test_an_object_is_locked_until_the_given_time(archive: S3Archive, clients: Clients) -> None:
    archive.put(KEY, BODY, sha256=HASH, retain_until=NEXT_YEAR)

    assert clients.s3.head_object(Bucket="archive", Key=KEY)["ObjectLockMode"] == "GOVERNANCE"
    assert locked_until(clients) == NEXT_YEAR


@pytest.mark.parametrize(
    ("days", "expected_days"),
    [
        pytest.param(10, 10, id="longer extends it"),
        pytest.param(0, 0, id="equal leaves it"),
        pytest.param(-10, 0, id="shorter leaves it"),
    ],
)
def test_a_chunk_that_a_later_point_shares_stays_locked_as_long_as_that_point(
    archive: S3Archive, clients: Clients, days: int, expected_days: int
) -> None:
    archive.put(KEY, BODY, sha256=HASH, retain_until=NEXT_YEAR)

    archive.put(KEY, BODY, sha256=HASH, retain_until=NEXT_YEAR + timedelta(days=days))

    assert locked_until(clients) == NEXT_YEAR + timedelta(days=expected_days)


def test_a_lock_never_ends_before_the_given_microsecond(archive: S3Archive, clients: Clients) -> None:
    archive.put(KEY, BODY, sha256=HASH, retain_until=NEXT_YEAR + timedelta(microseconds=1))

    assert locked_until(clients) == NEXT_YEAR + timedelta(seconds=1)


def test_an_existing_object_without_lock_gets_one(archive: S3Archive, clients: Clients) -> None:
    archive.put(KEY, BODY, sha256=HASH)

    archive.put(KEY, BODY, sha256=HASH, retain_until=NEXT_YEAR)

    assert locked_until(clients) == NEXT_YEAR


def test_a_delete_marker_hides_the_key_but_not_the_pinned_version(archive: S3Archive, clients: Clients) -> None:
    stored = archive.put(KEY, BODY, sha256=HASH)

    marker = clients.s3.delete_object(Bucket="archive", Key=KEY)

    assert archive.find(KEY) is None
    assert archive.read(KEY, stored.version_id) == BODY
    with pytest.raises(ArchiveDamaged, match=KEY):
        archive.read(KEY)
    with pytest.raises(ArchiveDamaged, match=KEY):
        archive.read(KEY, marker["VersionId"])


def test_a_big_object_is_stored_in_parts_and_read_back_whole(archive: S3Archive, clients: Clients) -> None:
    body = bytes(range(256)) * (11 * 2**20 // 256)

    stored = archive.put(KEY, body, sha256=hashlib.sha256(body).hexdigest(), retain_until=NEXT_YEAR)

    assert stored.created
    assert stored.size == len(body)
    assert archive.read(KEY, stored.version_id) == body
    assert clients.s3.head_object(Bucket="archive", Key=KEY)["ETag"].endswith('-3"')


def test_a_big_object_is_never_overwritten_and_leaves_no_parts(archive: S3Archive, clients: Clients) -> None:
    first = archive.put(KEY, BODY, sha256=HASH)
    body = bytes(7 * 2**20)

    second = archive.put(KEY, body, sha256=hashlib.sha256(body).hexdigest())

    assert (second.version_id, second.created) == (first.version_id, False)
    assert "Uploads" not in clients.s3.list_multipart_uploads(Bucket="archive")


def answering(clients: Clients, *answers: tuple[Any, ...]) -> tuple[S3Archive, Stubber]:
    stubber = Stubber(clients.s3)
    for name, *answer in answers:
        if isinstance(answer[0], str):
            stubber.add_client_error(name, *answer)
        else:
            stubber.add_response(name, *answer)
    stubber.activate()
    return S3Archive(clients.s3, "archive", sleep=lambda _: None), stubber


def test_the_service_gets_condition_and_checksum(clients: Clients) -> None:
    checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(bytes.fromhex(HASH)).decode()}
    expected = {"Bucket": "archive", "Key": KEY, "Body": BODY, "IfNoneMatch": "*", **checksum}
    archive, stubber = answering(clients, ("put_object", {"VersionId": "v1"}, expected))

    with stubber:
        archive.put(KEY, BODY, sha256=HASH)

    stubber.assert_no_pending_responses()


def test_two_writers_at_once_try_again(clients: Clients) -> None:
    absent = ("head_object", "404", "", 404)
    archive, stubber = answering(clients, CONFLICT, absent, ("put_object", {"VersionId": "v1"}))

    with stubber:
        stored = archive.put(KEY, BODY, sha256=HASH)

    assert stored.created


def test_the_slower_of_two_writers_takes_the_other_s_version(clients: Clients) -> None:
    archive, stubber = answering(clients, PRECONDITION, ("head_object", {"VersionId": "v7", "ContentLength": 4}))

    with stubber:
        stored = archive.put(KEY, BODY, sha256=HASH)

    assert (stored.version_id, stored.created) == ("v7", False)


def test_writers_that_never_stop_are_left_to_the_state_machine(clients: Clients) -> None:
    archive, stubber = answering(clients, *(6 * [CONFLICT, ("head_object", "404", "", 404)]))

    with stubber, pytest.raises(StorageThrottled, match="another writer"):
        archive.put(KEY, BODY, sha256=HASH)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        pytest.param("SlowDown", 503, StorageThrottled, id="throttled"),
        pytest.param("InternalError", 500, StorageThrottled, id="a fault of the service"),
        pytest.param("AccessDenied", 403, BadConfiguration, id="a missing permission"),
        pytest.param("NoSuchBucket", 404, BadConfiguration, id="a missing bucket"),
        pytest.param("XAmzContentSHA256Mismatch", 400, UnexpectedState, id="a body damaged on its way"),
        pytest.param("SomethingNew", 400, UnexpectedState, id="a code that nobody knows"),
    ],
)
def test_codes_become_our_errors(clients: Clients, code: str, status: int, expected: type[Exception]) -> None:
    archive, stubber = answering(clients, ("put_object", code, "quoted text", status))

    with stubber, pytest.raises(expected, match=code) as caught:
        archive.put(KEY, BODY, sha256=HASH)

    assert KEY in str(caught.value)
    assert "quoted text" not in str(caught.value)


class Breaking(io.RawIOBase):
    """A connection that breaks after *good* bytes."""

    def __init__(self, good: bytes) -> None:
        self._good = io.BytesIO(good)

    def read(self, size: int = -1) -> bytes:
        block = self._good.read(size)
        if not block:
            raise ReadTimeoutError(endpoint_url="https://s3")
        return block


def body(content: bytes, *, declared: int, breaking: bool = False) -> dict[str, Any]:
    raw = Breaking(content) if breaking else io.BytesIO(content)
    return {"Body": StreamingBody(raw, declared), "ContentLength": declared, "ETag": '"e"'}  # type: ignore[arg-type]


def test_a_broken_connection_is_taken_up_where_it_broke(clients: Clients) -> None:
    whole = {"Bucket": "archive", "Key": KEY, "VersionId": "v1"}
    archive, stubber = answering(
        clients,
        ("get_object", body(b"row", declared=6, breaking=True), whole),
        ("get_object", body(b"s-1", declared=3), {**whole, "Range": "bytes=3-", "IfMatch": '"e"'}),
    )

    with stubber:
        assert archive.read(KEY, "v1") == b"rows-1"


def test_connections_that_keep_breaking_are_no_damage_and_are_left_to_the_state_machine(clients: Clients) -> None:
    short = ("get_object", body(b"row", declared=6, breaking=True))
    silent = [("get_object", body(b"", declared=3, breaking=True)) for _ in range(6)]
    archive, stubber = answering(clients, short, *silent)

    with stubber, pytest.raises(StorageThrottled, match="3 of 6 bytes"):
        archive.read(KEY, "v1")


def test_each_fruitless_connection_waits_longer_for_the_next(clients: Clients) -> None:
    silent = [("get_object", body(b"", declared=3, breaking=True)) for _ in range(6)]
    waited: list[float] = []
    _, stubber = answering(clients, *silent)

    with stubber, pytest.raises(StorageThrottled):
        S3Archive(clients.s3, "archive", sleep=waited.append).read(KEY, "v1")

    assert len(waited) == 5
    assert waited[0] <= 1 < waited[-1] <= 10


def test_what_is_withdrawn_is_stored_anew_and_its_version_stays(archive: S3Archive, clients: Clients) -> None:
    first = archive.put(KEY, b"torn", sha256=hashlib.sha256(b"torn").hexdigest(), retain_until=NEXT_YEAR)

    archive.withdraw(KEY, first.version_id)
    second = archive.put(KEY, BODY, sha256=HASH, retain_until=NEXT_YEAR)

    assert second.created
    assert (archive.read(KEY, first.version_id), archive.read(KEY)) == (b"torn", BODY)
    assert len(clients.s3.list_object_versions(Bucket="archive")["Versions"]) == 2


def test_a_chunk_that_is_found_is_locked_as_long_as_the_point_that_found_it(
    archive: S3Archive, clients: Clients
) -> None:
    archive.put(KEY, BODY, sha256=HASH, retain_until=NEXT_YEAR - timedelta(days=10))

    archive.find(KEY)
    untouched = locked_until(clients)
    archive.find(KEY, retain_until=NEXT_YEAR)

    assert (untouched, locked_until(clients)) == (NEXT_YEAR - timedelta(days=10), NEXT_YEAR)
