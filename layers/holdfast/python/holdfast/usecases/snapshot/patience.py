"""Ask again while AWS asks for a slower pace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from holdfast.errors import Transient

Result = TypeVar("Result")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
"""Seconds between tries. In all less than the minute after which the state machine misses a holder's heartbeat."""


def patiently(sleep: Callable[[float], None], call: Callable[[], Result]) -> Result:
    """Return what *call* does, repeated while it raises `Transient`; the last try's error comes out."""
    for pause in PAUSES:
        try:
            return call()
        except Transient:
            sleep(pause)
    return call()
