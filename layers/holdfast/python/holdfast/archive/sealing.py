"""Write the manifest so that it can be signed, and check signatures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pydantic import ValidationError

from holdfast.contracts.manifest import FORMAT, Manifest
from holdfast.errors import ArchiveDamaged, SignatureInvalid


def canonical(manifest: Manifest) -> bytes:
    """Return the manifest as JSON with sorted keys and no spaces: the same manifest has the same bytes."""
    document = manifest.model_dump(mode="json")
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def check_signature(public_keys: Iterable[bytes], sha256: bytes, signature: bytes, *, point: str) -> None:
    """Raise `SignatureInvalid` unless *signature* (DER, ECDSA P-256) of the 32 bytes *sha256* is by one of the keys."""
    if not any(_signed(key, sha256, signature) for key in public_keys):
        raise SignatureInvalid(f"The manifest of {point} was not signed by the sealing key.", point=point)


def _signed(public_key: bytes, sha256: bytes, signature: bytes) -> bool:
    try:
        key = serialization.load_pem_public_key(public_key)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, sha256, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except (InvalidSignature, ValueError):
        return False
    return True


def parsed(body: bytes, *, point: str, database: str) -> Manifest:
    """
    Return the manifest in *body*, which must be that of *point*.

    A good signature says who sealed a manifest, not of what it is: another point's would pass. Raises
    `SignatureInvalid` for such a one and `ArchiveDamaged` for a format that nobody here knows.
    """
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError as error:
        raise ArchiveDamaged(
            f"The manifest of {point} has {_format_of(body)}; this Holdfast reads format {FORMAT}.",
            hint="Use the version of Holdfast that wrote it, or a newer one.",
        ) from error
    if (manifest.point_id, manifest.database) != (point, database):
        raise SignatureInvalid(f"The manifest of {point} is that of {manifest.point_id}.", point=point)
    return manifest


def _format_of(body: bytes) -> str:
    """Return which format *body* says that it has, for an error's sentence."""
    with suppress(ValueError):
        document = json.loads(body)
        if isinstance(document, dict) and document.get("format") != FORMAT:
            return f"the format {document.get('format')}"
    return "a shape that does not fit"
