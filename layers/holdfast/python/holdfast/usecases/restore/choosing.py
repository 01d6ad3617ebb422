"""Choose the recovery point, and believe its manifest only when its signature is our own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from holdfast.archive.digest import fingerprint_of
from holdfast.archive.sealing import check_signature, parsed
from holdfast.contracts.manifest import Manifest, StoredObject
from holdfast.contracts.verify import Verification
from holdfast.errors import ArchiveDamaged, BadRequest, PointNotRestorable, SignatureInvalid, UnknownPoint
from holdfast.model.keys import MANIFEST, PUBLIC_KEY, SIGNATURE, VERIFICATION, ArchiveKeys
from holdfast.model.points import (
    Kind,
    PointState,
    RecoveryPoint,
    database_of,
    newest_restorable,
    refuse_without_archive,
)
from holdfast.ports.catalogue import Points
from holdfast.ports.keys import Signer
from holdfast.ports.storage import Archive

LATEST, LATEST_PROVEN = "latest", "latest-proven"
_NAMED = 5
_HELD: dict[str, str] = {Kind.FULL: "", Kind.SCHEMA: " with its schema", Kind.DATA: " with its rows"}
_REMEDIES = {
    PointState.CAPTURING: "Wait until its backup and its verification have ended, or take an older point.",
    PointState.CAPTURED: "Verify it first: `holdfast verify {point}`.",
    PointState.FAILED: "Take another point; `holdfast points {database}` lists them.",
    PointState.EXPIRED: "Its data is gone; `holdfast points {database}` lists those that are left.",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    A restorable point with its authenticated manifest; *pinned* and *verification* name the versions to read.

    *key_beside* tells whether the public key lies beside the manifest, where people without ours look for it;
    *digest_key* is the fingerprint of the key that the verification's digests were made with.
    """

    point: RecoveryPoint
    pinned: StoredObject
    manifest: Manifest
    verification: StoredObject
    key_beside: bool = True
    digest_key: str = ""


def choose_point(points: Points, database: str, wanted: str, *, kind: str | None = None) -> RecoveryPoint:
    """
    Return the point that *wanted* names: `latest`, `latest-proven` or an id.

    The latest one is full unless *kind* says that less is wanted; a point that is named may be of any kind, but
    must have what *kind* asks for. One that is named may be damaged, too, if it was intact before: assessing refuses
    it unless all that is wanted of it is whole.
    Raises `UnknownPoint` with the newest ids, and `PointNotRestorable` with the point's state and what to do.
    """
    if wanted in {LATEST, LATEST_PROVEN}:
        return _newest(points, database, kind=kind or Kind.FULL, proven=wanted == LATEST_PROVEN)
    try:
        named = database_of(wanted)
    except BadRequest as error:
        raise UnknownPoint(error.message, hint=_newest_ids(points, database), point=wanted) from None
    if named != database:
        raise UnknownPoint(f"{wanted} is a point of {named}, not of {database}.", hint=_newest_ids(points, database))
    try:
        point = points.get(wanted)
    except UnknownPoint:
        raise UnknownPoint(f"There is no recovery point {wanted}.", hint=_newest_ids(points, database)) from None
    refuse_without_archive(point)
    if not (point.restorable or (point.damaged and point.verification_version)):
        because = f": {point.failure.rstrip('.')}" if point.failure else ""
        raise PointNotRestorable(
            f"The recovery point {point.id} is {point.state}{because}; only intact and proven ones are restored.",
            hint=_remedy(point),
            point=point.id,
        )
    if kind is not None and not point.serves(kind):
        raise PointNotRestorable(
            f"The recovery point {point.id} holds only its {point.kind}; a {kind} restore needs more.",
            hint=f"Take a full one; `holdfast points {database}` lists them.",
            point=point.id,
        )
    return point


def authenticate(archive: Archive, signer: Signer, point: RecoveryPoint) -> Chosen:
    """
    Read the point's manifest and check its signature offline, against the sealing keys and the one beside it.

    The key beside it alone would prove nothing: whoever forges a manifest forges that too. Raises
    `SignatureInvalid` or `ArchiveDamaged`.
    """
    keys = ArchiveKeys(point.database)
    key = keys.of_point(point.id, MANIFEST)
    body = archive.read(key, point.manifest_version or None)
    digest = hashlib.sha256(body)
    if point.manifest_sha256 and digest.hexdigest() != point.manifest_sha256:
        raise SignatureInvalid(f"The manifest of {point.id} is not the one that was sealed.", point=point.id)
    beside = _key_beside(archive, point)
    signature = archive.read(keys.of_point(point.id, SIGNATURE), point.signature_version or None)
    for public_keys in (signer.known_keys(), *([(beside,)] if beside is not None else [])):
        check_signature(public_keys, digest.digest(), signature, point=point.id)
    manifest = parsed(body, point=point.id, database=point.database)
    pinned = StoredObject(key=key, version_id=point.manifest_version, sha256=digest.hexdigest(), size=len(body))
    verification, digest_key = _verification(archive, point, manifest, digest.hexdigest())
    return Chosen(point, pinned, manifest, verification, key_beside=beside is not None, digest_key=digest_key)


def refuse_other_digest_key(chosen: Chosen, digest_key: bytes) -> None:
    """
    Raise `PointNotRestorable` when the point was verified with another digest key than this system's.

    Every table of it would look different when it is proved, though nothing of it is damaged.
    """
    if chosen.digest_key not in {"", fingerprint_of(digest_key)}:
        raise PointNotRestorable(
            f"The recovery point {chosen.point.id} was verified with another digest key than this system has.",
            hint=f"Verify the point again with this system's key: `holdfast verify {chosen.point.id} --wait`.",
            point=chosen.point.id,
        )


def _key_beside(archive: Archive, point: RecoveryPoint) -> bytes | None:
    """Return the key beside the manifest, if it is there: no version of it is pinned, so a marker may hide it."""
    try:
        return archive.read(ArchiveKeys(point.database).of_point(point.id, PUBLIC_KEY))
    except ArchiveDamaged:
        return None


def _remedy(point: RecoveryPoint) -> str:
    if point.state is PointState.FAILED and point.complete:
        return (
            f"Verify it again, or take another: `holdfast verify {point.id}`, `holdfast points {point.database}`. "
            f"What of it is whole can be had with `holdfast download {point.id} --damaged`."
        )
    return _REMEDIES[point.state].format(point=point.id, database=point.database)


def remedy_of_damage(point: RecoveryPoint) -> str:
    """Return how to get what of a damaged point is whole."""
    return (
        f"Of {point.id}, which is damaged, tables that are whole can be restored with `--point {point.id} --table T`, "
        f"or all of them downloaded with `holdfast download {point.id} --damaged`."
    )


def _newest(points: Points, database: str, *, kind: str, proven: bool) -> RecoveryPoint:
    known = list(points.newest_first(database))
    if found := newest_restorable(known, kind=kind, proven=proven):
        return found
    state = "proven" if proven else "intact"
    hint = _newest_ids(points, database) if known else f"Back it up first: `holdfast backup {database} --wait`."
    damaged = next((point for point in known if point.damaged), None)
    raise UnknownPoint(
        f"{database} has no {state} recovery point{_HELD[kind]}.",
        hint=f"{hint} {remedy_of_damage(damaged)}" if damaged else hint,
        database=database,
    )


def _newest_ids(points: Points, database: str) -> str:
    newest = [point for point in points.newest_first(database) if point.archived][:_NAMED]
    listed = ", ".join(f"{point.id} ({_described(point)})" for point in newest)
    return f"The newest are {listed}." if listed else f"{database} has no recovery points."


def _described(point: RecoveryPoint) -> str:
    return point.state if point.kind == Kind.FULL else f"{point.kind} only, {point.state}"


def _verification(
    archive: Archive, point: RecoveryPoint, manifest: Manifest, manifest_sha256: str
) -> tuple[StoredObject, str]:
    """
    Pin what verification found, and return the fingerprint of its digest key, too.

    It is not signed, so the catalogue's hash of it is what counts.
    """
    key = ArchiveKeys(point.database).of_point(point.id, VERIFICATION)
    body = archive.read(key, point.verification_version or None)
    sha256 = hashlib.sha256(body).hexdigest()
    if point.verification_sha256 and sha256 != point.verification_sha256:
        raise _verify_again(point, "is not the one that the catalogue knows")
    found = Verification.model_validate_json(body)
    names = [(table.schema_name, table.name) for table in found.tables]
    expected = [(table.schema_name, table.name) for table in manifest.contents]
    if found.manifest_sha256 != manifest_sha256 or sorted(names) != sorted(expected):
        raise _verify_again(point, "is of another manifest")
    pinned = StoredObject(key=key, version_id=point.verification_version, sha256=sha256, size=len(body))
    return pinned, found.digest_key


def _verify_again(point: RecoveryPoint, trouble: str) -> ArchiveDamaged:
    hint = f"Verify it again: `holdfast verify {point.id}`."
    return ArchiveDamaged(f"The verification of {point.id} {trouble}.", hint=hint, point=point.id)
