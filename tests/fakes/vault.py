"""Secrets of our own in memory."""

from __future__ import annotations

from collections.abc import Sequence


class MemoryVault:
    """`Vault` in memory."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def write(self, name: str, text: str) -> None:
        self.secrets[name] = text

    def remove(self, name: str) -> None:
        self.secrets.pop(name, None)

    def names(self, prefix: str) -> Sequence[str]:
        return [name for name in self.secrets if name.startswith(prefix)]
