"""What every sealing key, digest key and store of secrets promises."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from holdfast.errors import BadConfiguration
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.secrets import Secrets


def test_a_signature_verifies_offline_with_the_public_key(signer: Signer) -> None:
    manifest = b'{"format": 1}'

    signature = signer.sign(hashlib.sha256(manifest).digest())

    key = load_pem_public_key(signer.public_key())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, manifest, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(signature, manifest + b" ", ec.ECDSA(hashes.SHA256()))


def test_a_database_has_one_digest_key_of_its_own(digest_keys: DigestKeys) -> None:
    key = digest_keys.digest_key("shop")

    assert len(key) == 32
    assert digest_keys.digest_key("shop") == key
    assert digest_keys.digest_key("blog") != key


def test_a_secret_is_read_by_name(secrets: Secrets) -> None:
    assert secrets.read("holdfast/shop") == "postgresql://user:pass@host/db"


def test_a_missing_secret_is_named(secrets: Secrets) -> None:
    with pytest.raises(BadConfiguration, match="holdfast/nobody"):
        secrets.read("holdfast/nobody")
