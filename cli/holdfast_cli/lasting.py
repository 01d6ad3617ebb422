"""
What a running restore is at that takes long: indexes and checks that outlive the functions that began them.

It is courtesy: what cannot be read, for want of rights or of a network, is left out and hides nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from holdfast.contracts.restoring import Progress
from holdfast.errors import HoldfastError
from holdfast.model.keys import RunKeys
from holdfast.usecases.restore.naming import restore_id_of

if TYPE_CHECKING:
    from holdfast.ports.storage import Scratch

EVERY = 5.0
"""Seconds between two looks; the functions write no oftener."""


class Lasting:
    """Reads what one restore tells of its long statements, each document until it says that it has ended."""

    def __init__(self, scratch: Callable[[], Scratch], execution: str, *, clock: Callable[[], float] = time.monotonic):
        self._scratch, self._clock = scratch, clock
        self._prefix = RunKeys("restore", restore_id_of(execution)).all_progress()
        self._ended: set[str] = set()
        self._found: list[Progress] = []
        self._next = 0.0

    def now(self) -> list[Progress]:
        """Return what takes long now, as it was told within the last seconds."""
        if self._clock() >= self._next:
            self._next = self._clock() + EVERY
            try:
                self._found = self._read(self._scratch())
            except (HoldfastError, ClientError, BotoCoreError):
                self._found = []
        return self._found

    def _read(self, scratch: Scratch) -> list[Progress]:
        found = []
        for key in scratch.keys(self._prefix):
            if key in self._ended or not (body := scratch.read(key)):
                continue
            try:
                told = Progress.model_validate_json(body)
            except ValidationError:
                continue  # of another version
            if told.ended:
                self._ended.add(key)
            else:
                found.append(told)
        return found
