"""Let a verification be believed by who has the digest key, where no catalogue is left that pins it."""

from __future__ import annotations

import hashlib
import hmac

_CONTEXT = b"holdfast verification v1\0"


def vouched(digest_key: bytes, body: bytes) -> bytes:
    """
    Return the code (hex) that the database's *digest_key* gives to the bytes of a verification.

    Only functions that may derive that key can make one; the context keeps it apart from digests of rows.
    """
    return hmac.new(digest_key, _CONTEXT + body, hashlib.sha256).hexdigest().encode()


def is_vouched(digest_key: bytes, body: bytes, code: bytes) -> bool:
    """Answer whether *code* is the one that the key gives to *body*."""
    return hmac.compare_digest(vouched(digest_key, body), code)
