"""Secrets in memory."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import BadConfiguration


class MemorySecrets:
    """`Secrets` in memory."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self.secrets = dict(secrets or {})

    def read(self, name: str) -> str:
        if not self.secrets.get(name):
            raise BadConfiguration(f"The secret {name} does not exist in this region.", secret=name)
        return self.secrets[name]
