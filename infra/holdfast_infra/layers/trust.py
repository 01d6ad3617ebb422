"""Make the bundle of certificate authorities that backups trust: Amazon RDS's own and the public ones."""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.utils import CryptographyDeprecationWarning

from holdfast.errors import UnexpectedState

# A date in the past, not now: the same wheels must give the same layer on every day.
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
FEWEST = 100  # RDS alone has one root or more for each of some 35 regions


def merge(*bundles: Path) -> bytes:
    """Return the usable certificates of *bundles* as PEM, each once and under a line that names it."""
    found: dict[bytes, x509.Certificate] = {}
    for bundle in bundles:
        for block in BLOCK.findall(bundle.read_bytes()):
            certificate = _load(block)
            if is_usable(certificate):
                found.setdefault(certificate.fingerprint(hashes.SHA256()), certificate)
    if len(found) < FEWEST:
        raise UnexpectedState(f"Only {len(found)} certificate authorities were found; {FEWEST} were expected.")
    return b"".join(_entry(certificate) for certificate in found.values())


def is_usable(certificate: x509.Certificate) -> bool:
    """Tell whether *certificate* is valid at `AS_OF` and not one of Amazon's beta authorities."""
    return certificate.not_valid_after_utc > AS_OF and "Beta" not in certificate.subject.rfc4514_string()


def _load(block: bytes) -> x509.Certificate:
    """Parse one certificate; some old public roots have serial numbers that `cryptography` warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_pem_x509_certificate(block)


def _entry(certificate: x509.Certificate) -> bytes:
    title = f"# {certificate.subject.rfc4514_string()}\n".encode()
    return title + certificate.public_bytes(serialization.Encoding.PEM)
