"""Plan a verification: authenticate the manifest, check what lies beside the chunks, make batches of those."""

from __future__ import annotations

import hashlib
import json

from holdfast.archive.reading import read_object
from holdfast.archive.sealing import check_signature, parsed
from holdfast.contracts.documents import CheckBatch, ChunkToCheck
from holdfast.contracts.manifest import Chunk, Manifest, TableContent
from holdfast.contracts.verify import CheckRequest, VerifyPlanned, VerifyRequest
from holdfast.contracts.work import Items
from holdfast.errors import ArchiveDamaged, PointNotRestorable, SignatureInvalid
from holdfast.model.keys import MANIFEST, SIGNATURE, ArchiveKeys, RunKeys
from holdfast.model.planning import MOST_BATCHES
from holdfast.model.points import PointState, RecoveryPoint, refuse_foreign, refuse_without_archive
from holdfast.model.tables import BlockRange
from holdfast.ports.catalogue import Points
from holdfast.ports.keys import Signer
from holdfast.ports.storage import Archive, Scratch

STAGE = "check"
BATCH_BYTES = 512 * 1024 * 1024
CHUNK_COST = 1024 * 1024
"""A tiny chunk costs a request, some 20 ms: as much as a megabyte."""

_CHECKABLE = {PointState.CAPTURED, PointState.INTACT, PointState.PROVEN}


def plan_verification(
    request: VerifyRequest, *, points: Points, archive: Archive, scratch: Scratch, signer: Signer
) -> VerifyPlanned:
    """
    Write the batches of chunks to read back, and the Map's items, to the scratch bucket.

    May be repeated. A point whose manifest is missing, damaged or not ours fails at once, and the error
    comes out of here: `ArchiveDamaged` or `SignatureInvalid`. Raises `PointNotRestorable` for one that was
    never completed, and `BadRequest` for one of another database. One that failed although it was complete is
    read again: what could not be read on a bad day may be whole.
    """
    refuse_foreign(request.database, request.point_id)
    point = points.get(request.point_id)
    refuse_without_archive(point)
    if point.state not in _CHECKABLE and not (point.state is PointState.FAILED and point.complete):
        raise PointNotRestorable(
            f"The recovery point {point.id} is {point.state}; there is nothing to verify.",
            hint="Take another one; a backup that failed can simply be started again.",
        )
    try:
        manifest = read_manifest(point, archive=archive, signer=signer)
        check_beside(manifest, archive)
    except (ArchiveDamaged, SignatureInvalid) as error:
        points.advance(point.id, PointState.FAILED, failure=error.message)
        raise
    keys = RunKeys("verify", request.run)
    batches = batched(manifest)
    for number, batch in enumerate(batches):
        body = CheckBatch(batch=number, chunks=tuple(batch)).model_dump_json()
        scratch.write(keys.batch(STAGE, number), body.encode())
    items = [
        CheckRequest(database=request.database, point_id=point.id, run=request.run, batch=number).model_dump(
            mode="json"
        )
        for number in range(len(batches))
    ]
    scratch.write(keys.items(STAGE), json.dumps(items).encode())
    size = sum(one.chunk.plain for batch in batches for one in batch)
    written = Items(bucket=scratch.bucket, key=keys.items(STAGE), count=len(batches), bytes=size)
    return VerifyPlanned(database=request.database, point_id=point.id, run=request.run, items=written)


def read_manifest(point: RecoveryPoint, *, archive: Archive, signer: Signer) -> Manifest:
    """
    Return the point's manifest, believed only with our own key's signature and the catalogue's hash.

    The key that lies beside it is for people without ours; whoever forges a manifest forges that too.
    """
    keys = ArchiveKeys(point.database)
    body = archive.read(keys.of_point(point.id, MANIFEST), point.manifest_version or None)
    digest = hashlib.sha256(body)
    if digest.hexdigest() != point.manifest_sha256:
        raise SignatureInvalid(f"The manifest of {point.id} is not the one that was sealed.", point=point.id)
    # A delete marker, which no lock prevents, hides the newest version and never a pinned one.
    signature = archive.read(keys.of_point(point.id, SIGNATURE), point.signature_version or None)
    check_signature(signer.known_keys(), digest.digest(), signature, point=point.id)
    return parsed(body, point=point.id, database=point.database)


def check_beside(manifest: Manifest, archive: Archive) -> None:
    """Read back the objects beside the chunks; raises `ArchiveDamaged` naming the first that differs."""
    beside = (manifest.schema_dump, manifest.globals_sql, manifest.roles_document, manifest.handbook)
    for pinned in filter(None, beside):
        try:
            read_object(archive, pinned)
        except ArchiveDamaged as error:
            name = pinned.key.rsplit("/", maxsplit=1)[-1]
            raise ArchiveDamaged(f"{name} of {manifest.point_id} is damaged or missing.", key=pinned.key) from error


def batched(manifest: Manifest) -> list[list[ChunkToCheck]]:
    """Return the chunks in batches of about 512 MiB, in the manifest's order; in larger ones where a Map is full."""
    batches: list[list[ChunkToCheck]] = []
    total = sum(chunk.plain + CHUNK_COST for content in manifest.contents for chunk in content.chunks)
    limit, room = max(BATCH_BYTES, -(-total // MOST_BATCHES)), 0
    for table, content in enumerate(manifest.contents):
        for chunk in content.chunks:
            if room <= 0:
                batches.append([])
                room = limit
            batches[-1].append(ChunkToCheck(table=table, what=described(content, chunk), chunk=chunk))
            room -= chunk.plain + CHUNK_COST
    return batches


def described(content: TableContent, chunk: Chunk) -> str:
    """Return table and range as people read them."""
    part = f", part {chunk.part + 1}" if chunk.part else ""
    return f"{content.schema_name}.{content.name} ({BlockRange(chunk.first_block, chunk.end_block)}{part})"
