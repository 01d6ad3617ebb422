"""Keys that never leave their service."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """The asymmetric key that seals manifests; only the sealing function may sign."""

    def sign(self, sha256: bytes) -> bytes:
        """Return the signature (DER, ECDSA P-256) over a 32-byte SHA-256. May be repeated."""

    def public_key(self) -> bytes:
        """Return the public key as PEM (SubjectPublicKeyInfo)."""

    def known_keys(self) -> tuple[bytes, ...]:
        """Return the public keys, as PEM, that a manifest may be signed with: this one, then those before it."""


class DigestKeys(Protocol):
    """The secret base of each database's content digests."""

    def digest_key(self, database: str) -> bytes:
        """Return the same 32 bytes for the same database, for ever."""
