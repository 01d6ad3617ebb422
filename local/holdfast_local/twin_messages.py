"""Requests and answers of an HTTP API's twin, and what it is told to answer instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request (*path* below the API's base, names of *parameters*, body) and its answer."""

    method: str
    path: str
    parameters: frozenset[str]
    sent: Any
    status: int
    answered: Any


@dataclass(slots=True, kw_only=True)
class Fault:
    """What to answer in place of the next *times* requests that match *method* and end of *path*."""

    status: int
    message: str = "injected"
    times: int = 1
    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def matches(self, request: Request) -> bool:
        """Answer whether *request* is one to answer so."""
        return (not self.method or request.method == self.method) and request.path.endswith(self.path)
