"""What a run found, as one document and as a table for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.archive.measuring import Measured
from bench.archive.ours import Steps

MEBIBYTE = 1 << 20
AIM_RATIO = 2.0
AIM_PEAK = 400 * 10**6


@dataclass(slots=True)
class Side:
    """One side's best rounds; *steps* are the states of a step."""

    measured: dict[str, Measured]
    steps: dict[str, Steps]
    stored: int

    def keep_better(self, measured: Measured, steps: Steps | None = None) -> None:
        """Keep *measured* if it is the first or the fastest of its name."""
        known = self.measured.get(measured.name)
        peak = max(measured.peak, known.peak if known else 0)
        if known is None or measured.wall < known.wall:
            self.measured[measured.name] = known = measured
            if steps is not None:
                self.steps[measured.name] = steps
        # Memory is what the worst round needed, however fast it was.
        known.peaks = {**known.peaks, "most": max(peak, known.peaks.get("most", 0))}


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything that one run found. Sizes are bytes, times seconds."""

    command: str
    started_at: str
    machine: str
    versions: dict[str, str]
    rounds: int
    workers: int
    database: int
    text: int
    rows: int
    tables: int
    peer: Side
    holdfast: Side
    cold_seconds: float

    def ratio(self, step: str) -> float:
        """Return Holdfast's wall clock as a multiple of the peer's."""
        return self.holdfast.measured[step].wall / self.peer.measured[step].wall

    @property
    def peak(self) -> int:
        """Return the most that any worker of Holdfast needed."""
        return max(measured.peak for measured in self.holdfast.measured.values())

    def document(self) -> dict[str, object]:
        """Return the report as JSON's types, with what follows from the figures."""
        found = asdict(self)
        for name in ("peer", "holdfast"):
            side: Side = getattr(self, name)
            for step, measured in side.measured.items():
                found[name]["measured"][step]["peak"] = measured.peak
                found[name]["measured"][step]["bytes_per_second"] = self.text / measured.wall
        ratios = {step: self.ratio(step) for step in ("backup", "restore")}
        aims = {"ratio": AIM_RATIO, "peak": AIM_PEAK}
        met = all(ratio < AIM_RATIO for ratio in ratios.values()) and self.peak < AIM_PEAK
        return {**found, "ratios": ratios, "peak": self.peak, "aims": aims, "aims_met": met}

    def write(self, path: Path) -> None:
        """Write the document to *path*."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")

    def table(self) -> str:
        """Return the figures as a table in Markdown."""
        rows = [_row(side, step, measured, self.text) for side, step, measured in self._in_order()]
        ratios = ", ".join(f"{step} {self.ratio(step):.2f}" for step in ("backup", "restore"))
        return "\n".join(
            [
                f"{self.machine}",
                f"{', '.join(f'{name} {version}' for name, version in self.versions.items())}; {self.started_at}",
                f"database {_mb(self.database)}, {self.tables} tables, {self.rows:,} rows, {_mb(self.text)} of text",
                f"{self.workers} workers; the better of {self.rounds} rounds counts",
                "",
                "| step | side | wall s | MB/s | client CPU s | server CPU s | others' CPU s | peak of a worker |",
                "|---|---|---:|---:|---:|---:|---:|---:|",
                *rows,
                "",
                f"stored: pg_dump {_mb(self.peer.stored)}, Holdfast {_mb(self.holdfast.stored)}",
                f"ratios (Holdfast / peer, aim below {AIM_RATIO:g}): {ratios}",
                f"largest worker: {_mb(self.peak)} (aim below {_mb(AIM_PEAK)}); workers were warm after "
                f"{self.cold_seconds:.1f} s",
                "",
                *(f"{name}: {_listed(steps)}" for name, steps in self.holdfast.steps.items()),
            ]
        )

    def _in_order(self) -> list[tuple[str, str, Measured]]:
        found: list[tuple[str, str, Measured]] = []
        for step in ("backup", "restore", "verify", "prove"):
            sides = (("pg_dump/pg_restore", self.peer), ("Holdfast", self.holdfast))
            found += [(name, step, side.measured[step]) for name, side in sides if step in side.measured]
        return found


def _row(side: str, step: str, measured: Measured, text: int) -> str:
    cpu = f"{measured.client_cpu:.1f} | {measured.server_cpu:.1f} | {measured.others_cpu:.1f}"
    return (
        f"| {step} | {side} | {measured.wall:.2f} | {text / measured.wall / 1e6:.0f} | {cpu} | {_mb(measured.peak)} |"
    )


def _listed(steps: Steps) -> str:
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in steps.seconds.items())


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
