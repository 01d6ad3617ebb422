"""Where connection parameters come from."""

from __future__ import annotations

from typing import Protocol


class Secrets(Protocol):
    """Secrets by name."""

    def read(self, name: str) -> str:
        """
        Return the secret's text: a connection URL, or JSON with host, port, username, password, dbname.

        Raises `BadConfiguration` naming the secret when it is missing or access is denied.
        """
