"""What a second backup sends to S3, counted at the client: nothing that is there already."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto import mock_aws

from holdfast.adapters.aws import Clients, S3Archive
from holdfast.archive import writing
from snapshot.rig import Rig
from snapshot.servers import Databases

EVENTS = """
    CREATE TABLE events (id int) WITH (fillfactor = 10, autovacuum_enabled = false);
    INSERT INTO events SELECT generate_series(1, 120000)
"""
"""Few rows on many pages: enough for two ranges, which end at multiples of 32 MiB."""
BESIDE = {"schema.dump", "globals.sql", "roles.json", "manifest.json", "manifest.sig", "public-key.pem", "RESTORE.md"}
Puts = dict[str, int]


@dataclass
class Counter:
    """Every object that was sent, with its bytes, and how often something was compressed."""

    puts: Puts = field(default_factory=dict)
    compressed: int = 0

    def take(self) -> tuple[Puts, int]:
        """Return what was counted since the last time."""
        taken = self.puts, self.compressed
        self.puts, self.compressed = {}, 0
        return taken


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    found, compress = Counter(), writing.compressed

    def compressing(text: bytes | memoryview) -> bytes:
        found.compressed += 1
        return compress(text)

    monkeypatch.setattr(writing, "compressed", compressing)
    return found


@pytest.fixture
def rig(databases: Databases, counter: Counter, fixed_environment: None) -> Iterator[Rig]:
    """Return a rig whose archive is S3's adapter; every request that carries an object is counted."""
    with mock_aws():
        s3 = Clients().s3
        location: Any = {"LocationConstraint": "eu-central-1"}
        s3.create_bucket(Bucket="archive", CreateBucketConfiguration=location, ObjectLockEnabledForBucket=True)

        def count(params: dict[str, Any], model: Any, **_: Any) -> None:
            if model.name in {"PutObject", "UploadPart"}:
                counter.puts[params["url_path"].lstrip("/")] = len(params["body"].getbuffer())

        s3.meta.events.register("before-call.s3", count)
        archive: Any = S3Archive(s3, "archive")
        yield Rig(databases.create(EVENTS), archive=archive)


def named(puts: Puts) -> tuple[set[str], int]:
    """Return the names of the objects beside chunks, and how many chunks there are."""
    chunks = [key for key in puts if "/chunks/" in key]
    return {re.sub(r".*/", "", key) for key in puts if key not in chunks}, len(chunks)


def test_an_unchanged_database_sends_its_manifest_and_schema_and_compresses_nothing(rig: Rig, counter: Counter) -> None:
    first = rig.backup()
    before, compressed = counter.take()
    assert named(before) == (BESIDE, compressed)
    assert compressed > 1

    second = rig.backup()

    sent, compressed = counter.take()
    assert (named(sent), compressed) == ((BESIDE, 0), 0)
    assert sum(sent.values()) < 50_000 < first.bytes_stored
    assert (second.bytes_new, second.bytes_shared) == (0, first.bytes_stored)
    assert rig.manifest(second.id).tables == rig.manifest(first.id).tables


def test_appended_rows_send_the_last_range_only(rig: Rig, counter: Counter, databases: Databases) -> None:
    first = rig.backup()
    counter.take()
    with databases.connect(rig.parameters) as session:
        session.execute("INSERT INTO events SELECT generate_series(120001, 120100)")

    second = rig.backup()

    sent, compressed = counter.take()
    assert (named(sent), compressed) == ((BESIDE, 1), 1)
    (old,), (new,) = rig.manifest(first.id).tables, rig.manifest(second.id).tables
    assert old.chunks[:-1] == new.chunks[:-1]
    assert second.bytes_new == new.chunks[-1].stored == sum(size for key, size in sent.items() if "/chunks/" in key)
    assert second.bytes_shared == second.bytes_stored - second.bytes_new > 0
