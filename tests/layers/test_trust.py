"""The bundle of certificate authorities: what is left out, and that the day of the build does not matter."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.errors import UnexpectedState
from holdfast_infra.layers import trust

DAY = timedelta(days=1)


def authority(name: str, ends: datetime) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - 1000 * DAY)
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("name", "ends", "usable"),
    [
        pytest.param("Amazon RDS eu-west-1 Root CA", trust.AS_OF + DAY, True, id="valid"),
        pytest.param("Amazon RDS eu-west-1 Root CA", trust.AS_OF, False, id="ending exactly then"),
        pytest.param("Amazon RDS eu-west-1 Root CA", trust.AS_OF - DAY, False, id="expired"),
        pytest.param("Amazon RDS Beta Root CA", trust.AS_OF + 1000 * DAY, False, id="beta"),
    ],
)
def test_only_valid_and_public_authorities_are_usable(name: str, ends: datetime, usable: bool) -> None:
    assert trust.is_usable(authority(name, ends)) is usable


def test_bundles_are_merged_in_order_and_without_repetition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "FEWEST", 2)
    one, two, old = (authority(name, trust.AS_OF + days * DAY) for name, days in (("one", 5), ("two", 6), ("old", -1)))
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    first.write_bytes(b"".join(pem(certificate) for certificate in (one, old)))
    second.write_bytes(b"a comment\n" + b"".join(pem(certificate) for certificate in (two, one)))

    merged = trust.merge(first, second)

    assert merged == b"# CN=one\n" + pem(one) + b"# CN=two\n" + pem(two)


def test_a_bundle_that_lost_most_of_its_authorities_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_bytes(pem(authority("lonely", trust.AS_OF + DAY)))

    with pytest.raises(UnexpectedState, match="Only 1 certificate"):
        trust.merge(tmp_path / "bundle.pem")


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
