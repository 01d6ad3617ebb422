"""Secrets of our own: logins to copies, for as long as a backup lasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Vault(Protocol):
    """Secrets that are written and removed by us. Every method may be repeated."""

    def write(self, name: str, text: str) -> None:
        """Store *text* as the secret *name*, in place of what it held."""

    def remove(self, name: str) -> None:
        """Remove the secret for good, at once, if it is there."""

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names of the secrets that begin with *prefix*; one that was written just now may be missing."""
