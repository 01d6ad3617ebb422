"""What vendors say in their errors, made fit for messages and logs."""

from __future__ import annotations

import re

LONGEST = 300
_ADDRESS = re.compile(r"[a-z][a-z0-9+]*://\S+", re.IGNORECASE)


def plain(said: str, *secrets: str) -> str:
    """Return one line without addresses, which may hold passwords, and without *secrets*; "" stays empty."""
    line = _ADDRESS.sub("(an address)", " ".join(said.split()))
    for secret in filter(None, secrets):
        line = line.replace(secret, "(a secret)")
    return line[:LONGEST]
