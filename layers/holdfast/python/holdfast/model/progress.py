"""Say what a statement is at that takes longer than anybody waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_COUNTED = (
    ("loading tuples", "tuples_done", "tuples_total"),
    ("building index", "blocks_done", "blocks_total"),
    ("acquiring", "sample_blks_scanned", "sample_blks_total"),
    ("extended statistics", "ext_stats_computed", "ext_stats_total"),
)
"""What tells how far a phase is; sorting, for one, is counted by nothing."""
_UNCOUNTED = "sorting"


@dataclass(frozen=True, slots=True)
class Sight:
    """
    What the server shows of the session that works on a slice.

    *seconds* it has worked; *phase* and *counts* are PostgreSQL's own, where it tells any; *behind* names the
    sessions that it waits for.
    """

    mark: str
    seconds: float
    phase: str = ""
    behind: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def percent(self) -> float | None:
        """Return how much of the phase is done; nothing where PostgreSQL does not count it."""
        if self.phase and _UNCOUNTED not in self.phase:
            for words, done, total in _COUNTED:
                if words in self.phase and self.counts.get(total):
                    return min(100.0, 100.0 * self.counts.get(done, 0) / self.counts[total])
        return None

    def sentence(self, what: str) -> str:
        """Say what is done to *what*, for people: `index app.i: building index: scanning table, 43 %, for 12 min`."""
        parts = [self.phase or "working"]
        if self.percent is not None:
            parts.append(f"{self.percent:.0f} %")
        if self.behind:
            parts.append(f"waiting for a lock of {self.behind}")
        return f"{what}: {', '.join(parts)}, for {lasting(self.seconds)}"


def lasting(seconds: float) -> str:
    """Return a duration roughly: 40 s, 12 min, 3 h 05 min."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
