"""Make a recovery point of what lies in a bucket: believed only as far as it can be checked there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from holdfast.archive.marks import Marks
from holdfast.archive.sealing import check_signature, parsed
from holdfast.archive.vouching import is_vouched
from holdfast.contracts.manifest import Manifest, StoredObject
from holdfast.contracts.verify import Verification
from holdfast.errors import ArchiveDamaged, SignatureInvalid
from holdfast.model.collecting import Version
from holdfast.model.keys import SIGNATURE, VERIFICATION, ArchiveKeys, vouching_name
from holdfast.model.points import PointState, RecoveryPoint, Tier
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.storage import Archive, Versions


def every_version(versions: Versions, prefix: str) -> Iterator[Version]:
    """Yield every version of every object under *prefix*; no delete markers."""
    after: str | None = ""
    while after is not None:
        page = versions.page(prefix, after)
        yield from (one for one in page.versions if not one.marker)
        after = page.after


def pins(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield key and version of everything that *manifest* pins; twice what it pins twice."""
    keys = ArchiveKeys(manifest.database)
    for content in manifest.contents:
        yield from ((keys.chunk(chunk.sha256), chunk.version_id) for chunk in content.chunks)
    yield from ((one.key, one.version_id) for one in beside(manifest))


def beside(manifest: Manifest) -> Iterator[StoredObject]:
    """Yield the objects beside the chunks."""
    yield from filter(None, (manifest.schema_dump, manifest.globals_sql, manifest.roles_document, manifest.handbook))


@dataclass(frozen=True)
class Bucket:
    """What finding points takes: a bucket, the keys that are believed, and every version in the database's folder."""

    archive: Archive
    versions: Versions
    signer: Signer
    digest_keys: DigestKeys
    there: Marks

    def every(self, key: str) -> Iterator[tuple[str, bytes]]:
        """Yield id and bytes of every version of one object: a newer one may be somebody else's and hide ours."""
        for one in every_version(self.versions, key):
            if one.key == key:
                yield one.version_id, self.archive.read(key, one.version_id)


def marks_of(database: str, versions: Versions) -> Marks:
    """Return marks of every version that is there of the database's points, eight bytes for each."""
    keys, there = ArchiveKeys(database), Marks()
    for prefix in (keys.chunks, keys.points):
        there.add((one.key, one.version_id) for one in every_version(versions, prefix))
    return there


def point_of(bucket: Bucket, sealed: Version) -> RecoveryPoint:
    """
    Return the point of the manifest *sealed*.

    It is intact when a verification vouches for all of it, else captured, so that it can be verified. Nobody tells
    here that a point was once proven. Raises `SignatureInvalid` for what our key has not sealed, and `ArchiveDamaged`
    when something that the manifest pins is not in the bucket.
    """
    database, _, name = sealed.key.split("/")[:3]
    body = bucket.archive.read(sealed.key, sealed.version_id)
    digest = hashlib.sha256(body)
    signature = _signature(bucket, ArchiveKeys(database).of_point(name, SIGNATURE), digest.digest(), name)
    manifest = parsed(body, point=name, database=database)
    _require_whole(manifest, bucket.there)
    contents = manifest.contents
    return RecoveryPoint(
        id=name,
        database=database,
        tier=Tier(manifest.tier),
        kind=manifest.kind,
        started_at=manifest.started_at,
        taken_at=manifest.snapshot.taken_at,
        captured_at=manifest.sealed_at,
        execution="",
        reason="Found in the archive when the catalogue was made anew.",
        manifest_version=sealed.version_id,
        manifest_sha256=digest.hexdigest(),
        signature_version=signature,
        server_version=manifest.source.server_version,
        tables=len(manifest.tables),
        rows=sum(one.rows for one in manifest.tables),
        bytes_plain=sum(one.plain for one in contents),
        bytes_stored=sum(chunk.stored for one in contents for chunk in one.chunks),
        **_verified(bucket, database, name, digest.hexdigest()),
    )


def _require_whole(manifest: Manifest, there: Marks) -> None:
    pinned = set(pins(manifest))
    missing = sorted(pair for pair in pinned if pair not in there)
    if missing:
        raise ArchiveDamaged(
            f"{len(missing)} of the {len(pinned)} objects of {manifest.point_id} are not in this bucket.",
            hint="In a second region they may still be on their way; make the catalogue anew again later.",
            point=manifest.point_id,
            key=missing[0][0],
        )


def _signature(bucket: Bucket, key: str, sha256: bytes, point: str) -> str:
    """Return the version of the signature that is good for the manifest; raises `SignatureInvalid` without one."""
    known = bucket.signer.known_keys()
    for version, written in bucket.every(key):
        with suppress(SignatureInvalid):
            check_signature(known, sha256, written, point=point)
            return version
    raise SignatureInvalid(f"The manifest of {point} was not signed by the sealing key.", point=point)


def _verified(bucket: Bucket, database: str, point: str, manifest: str) -> dict[str, Any]:
    """Return the state, and what pins the verification where one of this manifest is authentic."""
    keys = ArchiveKeys(database)
    for version, body in bucket.every(keys.of_point(point, VERIFICATION)):
        digest = hashlib.sha256(body).hexdigest()
        codes = bucket.every(keys.of_point(point, vouching_name(digest)))
        if not any(is_vouched(bucket.digest_keys.digest_key(database), body, code) for _, code in codes):
            continue
        verification = Verification.model_validate_json(body)
        if (verification.point_id, verification.manifest_sha256) == (point, manifest):
            pinned = {"verification_version": version, "verification_sha256": digest}
            return {"state": PointState.INTACT, "intact_at": verification.checked_at, **pinned}
    return {"state": PointState.CAPTURED}
