"""Keys that never leave KMS: the one that seals manifests, and the secret base of content digests."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.adapters.aws.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_DIGEST_CONTEXT = b"holdfast row digest v1/"


class KmsSigner:
    """`Signer` over an ECC_NIST_P256 key; *former* are the public keys, as PEM, of those that sealed before it."""

    def __init__(self, client: KMSClient, key: str, *, former: Iterable[str] = ()) -> None:
        self._client = client
        self._key = key
        self._former = tuple(one.strip().encode() for one in former)

    def sign(self, sha256: bytes) -> bytes:
        """Return the DER signature over a 32-byte SHA-256, which KMS takes as the digest that it is."""
        with translated("Signing with the sealing key"):
            answer = self._client.sign(
                KeyId=self._key, Message=sha256, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
            )
        return answer["Signature"]

    def public_key(self) -> bytes:
        """Return the public key as PEM."""
        with translated("Reading the sealing key's public half"):
            der = self._client.get_public_key(KeyId=self._key)["PublicKey"]
        lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()

    def known_keys(self) -> tuple[bytes, ...]:
        """Return the keys that a manifest may be signed with: this one, then the former ones."""
        return (self.public_key(), *self._former)


class KmsDigestKeys:
    """`DigestKeys` over an HMAC_256 key: KMS derives a database's key from its name, and nobody stores it."""

    def __init__(self, client: KMSClient, key: str) -> None:
        self._client = client
        self._key = key
        self._known: dict[str, bytes] = {}

    def digest_key(self, database: str) -> bytes:
        """Return the same 32 bytes for the same database; asked of KMS once per process."""
        if database not in self._known:
            with translated(f"Deriving the digest key of {database}"):
                answer = self._client.generate_mac(
                    KeyId=self._key, MacAlgorithm="HMAC_SHA_256", Message=_DIGEST_CONTEXT + database.encode()
                )
            self._known[database] = answer["Mac"]
        return self._known[database]
