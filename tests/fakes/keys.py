"""Keys in memory: real cryptography, so that signatures made here verify offline."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed


class MemorySigner:
    """`Signer` over a key of its own."""

    def __init__(self, *, former: tuple[bytes, ...] = ()) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._former = former

    def sign(self, sha256: bytes) -> bytes:
        return self._key.sign(sha256, ec.ECDSA(Prehashed(hashes.SHA256())))

    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def known_keys(self) -> tuple[bytes, ...]:
        return (self.public_key(), *self._former)


class MemoryDigestKeys:
    """`DigestKeys` over a fixed secret."""

    def __init__(self, secret: bytes = b"a secret for tests only") -> None:
        self._secret = secret

    def digest_key(self, database: str) -> bytes:
        return hmac.new(self._secret, b"holdfast row digest v1/" + database.encode(), hashlib.sha256).digest()
