"""What KMS is asked, and what becomes of its answers."""

from __future__ import annotations

import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from holdfast.adapters.aws import Clients, KmsDigestKeys, KmsSigner
from holdfast.errors import BadConfiguration, StorageThrottled

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234"
DIGEST = bytes(range(32))


def test_a_digest_is_signed_as_the_digest_that_it_is(clients: Clients) -> None:
    asked = {"KeyId": KEY, "Message": DIGEST, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}

    with Stubber(clients.kms) as stubber:
        stubber.add_response("sign", {"Signature": b"der"}, asked)

        assert KmsSigner(clients.kms, KEY).sign(DIGEST) == b"der"


def test_the_public_key_is_the_key_s_as_pem(clients: Clients) -> None:
    arn = clients.kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["Arn"]

    pem = KmsSigner(clients.kms, arn).public_key()

    key = load_pem_public_key(pem)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert all(len(line) <= 64 for line in pem.splitlines())


def test_former_keys_are_known_after_the_key_itself(clients: Clients) -> None:
    arn = clients.kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["Arn"]
    former = KmsSigner(clients.kms, arn).public_key().decode()

    signer = KmsSigner(clients.kms, arn, former=[f"\n  {former}"])

    assert [load_pem_public_key(key) for key in signer.known_keys()] == [load_pem_public_key(former.encode())] * 2


def test_a_digest_key_is_asked_for_once(clients: Clients) -> None:
    asked = {"KeyId": KEY, "MacAlgorithm": "HMAC_SHA_256", "Message": b"holdfast row digest v1/shop"}

    with Stubber(clients.kms) as stubber:
        stubber.add_response("generate_mac", {"Mac": DIGEST}, asked)
        keys = KmsDigestKeys(clients.kms, KEY)

        assert keys.digest_key("shop") == keys.digest_key("shop") == DIGEST


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("AccessDeniedException", BadConfiguration, id="not allowed to sign"),
        pytest.param("NotFoundException", BadConfiguration, id="no such key"),
        pytest.param("KMSInvalidStateException", BadConfiguration, id="a key about to be deleted"),
        pytest.param("KMSInternalException", StorageThrottled, id="a fault of the service"),
        pytest.param("ThrottlingException", StorageThrottled, id="throttled"),
    ],
)
def test_codes_become_our_errors(clients: Clients, code: str, expected: type[Exception]) -> None:
    with Stubber(clients.kms) as stubber:
        stubber.add_client_error("sign", code)

        with pytest.raises(expected, match="sealing key"):
            KmsSigner(clients.kms, KEY).sign(DIGEST)
