"""What tests of this room look up and do beside the rig's own steps."""

from __future__ import annotations

from dataclasses import replace

from holdfast.contracts.manifest import Chunk
from holdfast.contracts.verify import Verification
from holdfast.model.keys import VERIFICATION, ArchiveKeys
from snapshot.rig import DATABASE, Rig

KEYS = ArchiveKeys(DATABASE)


def first_chunk(rig: Rig, point_id: str) -> Chunk:
    return rig.manifest(point_id).tables[0].chunks[0]


def verification(rig: Rig, point_id: str) -> Verification:
    return Verification.model_validate_json(rig.archive.read(KEYS.of_point(point_id, VERIFICATION)))


def forget_verification(rig: Rig, point_id: str) -> None:
    """Make the catalogue know of no earlier verification."""
    rig.points.points[point_id] = replace(
        rig.points.get(point_id), verification_version="", verification_sha256="", intact_at=None
    )


def flipped(body: bytes) -> bytes:
    return body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]
