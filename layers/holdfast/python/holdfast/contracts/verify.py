"""Messages of the `verify` state machine, and the document that it leaves in the archive."""

from __future__ import annotations

from datetime import datetime

from holdfast.contracts.message import Contract
from holdfast.contracts.work import Items


class VerifyRequest(Contract):
    """Read back every byte of *point_id*; *run* is the name of the execution."""

    database: str
    point_id: str
    run: str


class VerifyPlanned(Contract):
    """The batches of chunks to read are written."""

    database: str
    point_id: str
    run: str
    items: Items


class CheckRequest(Contract):
    """One batch of chunks to read back."""

    database: str
    point_id: str
    run: str
    batch: int


class Fault(Contract):
    """One thing that is not as the manifest says: *what* names table and range, *problem* is a sentence."""

    what: str
    problem: str


class Verdict(Contract):
    """
    The outcome of a verification; faults beyond the first twenty are only counted.

    *first* tells that the point was not judged before: with it, a full backup has succeeded, which resets the alarm.
    """

    database: str
    point_id: str
    intact: bool
    reason: str
    chunks: int
    bytes_plain: int
    faults: tuple[Fault, ...] = ()
    first: bool = False


class DigestOf(Contract):
    """Row count and content digest (hex, 128 bits, keyed per database) of one table of the manifest."""

    schema_name: str
    name: str
    rows: int
    digest: str


class Verification(Contract):
    """
    `verification.json`, beside the manifest: what reading everything back yielded.

    *digest_key* is the fingerprint of the key that the digests were made with: those of another compare with nothing.
    It is empty where there was no row to digest, and in documents of earlier versions.
    """

    point_id: str
    manifest_sha256: str
    checked_at: datetime
    tables: tuple[DigestOf, ...]
    digest_key: str = ""
