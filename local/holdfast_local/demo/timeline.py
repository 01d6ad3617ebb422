"""How long each step of the story took, told while it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Step:
    """One step: when it began and how long it took, in seconds; *bytes* is what it moved, *note* what came of it."""

    name: str
    begin: float
    seconds: float | None = None
    bytes: int = 0
    note: str = ""
    details: list[tuple[str, float, float]] = field(default_factory=list)
    """Steps within: name, begin, seconds."""

    @property
    def rate(self) -> float:
        """Return bytes per second, 0 where none were moved."""
        return self.bytes / self.seconds if self.seconds else 0.0


class Timeline:
    """The steps in the order in which they began; *tell* hears of each when it begins and when it ends."""

    def __init__(self, tell: Callable[[Step], None] = lambda _: None) -> None:
        self._tell = tell
        self._zero = time.monotonic()
        self.steps: list[Step] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time the `with` block; a step that fails keeps its time too."""
        step = Step(name, self.seconds)
        self.steps.append(step)
        self._tell(step)
        try:
            yield step
        finally:
            step.seconds = self.seconds - step.begin
            self._tell(step)

    @property
    def seconds(self) -> float:
        """Return the seconds since the story began."""
        return time.monotonic() - self._zero
