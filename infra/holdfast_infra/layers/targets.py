"""Where layers run: Lambda on Amazon Linux 2023 on either architecture, or this machine."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import BadRequest

ROOT = Path(__file__).resolve().parents[3]
OUTPUT = ROOT / "build" / "layers"
SOURCES = ROOT / "layers"


@dataclass(frozen=True)
class Target:
    """A platform: *machine* as `uname -m` says it, *python* as `3.13`."""

    name: str
    machine: str
    python: str

    @property
    def wheels(self) -> str:
        """Return uv's name for the wheels that run there; glibc 2.28 is older than that of any target."""
        return f"{self.machine}-manylinux_2_28"


def _host() -> Target:
    return Target("host", platform.machine(), f"{sys.version_info.major}.{sys.version_info.minor}")


_TARGETS: dict[str, Callable[[], Target]] = {
    "al2023-arm64": lambda: Target("al2023-arm64", "aarch64", "3.13"),
    "al2023-x86_64": lambda: Target("al2023-x86_64", "x86_64", "3.13"),
    "host": _host,
}

TARGETS = tuple(_TARGETS)


def target_named(name: str) -> Target:
    """Return the target called *name*, or raise `BadRequest`."""
    if name not in _TARGETS:
        raise BadRequest(f"There is no target {name!r} for layers.", hint=f"Choose one of {', '.join(TARGETS)}.")
    return _TARGETS[name]()
