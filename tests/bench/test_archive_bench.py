"""The comparison runs on a tiny database and reports every figure; what the figures are is nobody's test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    results = tmp_path_factory.mktemp("bench") / "archive.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench.archive", "--size-mb", "12", "--rounds", "1", "--results", str(results)],
        cwd=ROOT,
        # The machine's own certificates and index of packages, for layers that are not built yet.
        env={**os.environ, "PATH": "/usr/bin:/bin", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, json.loads(results.read_text())


def test_every_step_of_either_side_is_measured(run: tuple[str, dict[str, Any]]) -> None:
    _, report = run

    assert set(report["peer"]["measured"]) == {"backup", "restore"}
    assert set(report["holdfast"]["measured"]) == {"backup", "verify", "restore", "prove"}
    for side in ("peer", "holdfast"):
        for measured in report[side]["measured"].values():
            assert measured["wall"] > 0
            assert measured["client_cpu"] > 0
            assert measured["peak"] > 0
            assert measured["bytes_per_second"] > 0


def test_both_sides_stored_the_same_database(run: tuple[str, dict[str, Any]]) -> None:
    _, report = run

    assert report["tables"] == 6
    assert report["rows"] > 10_000
    assert report["text"] > report["peer"]["stored"] > 0
    assert report["text"] > report["holdfast"]["stored"] > 0


def test_ratios_and_aims_are_told(run: tuple[str, dict[str, Any]]) -> None:
    printed, report = run

    assert set(report["ratios"]) == {"backup", "restore"}
    assert report["aims"] == {"ratio": 2.0, "peak": 400_000_000}
    assert isinstance(report["aims_met"], bool)
    assert "| backup | Holdfast |" in printed
    assert "ratios (Holdfast / peer, aim below 2)" in printed


def test_machine_versions_and_command_are_told(run: tuple[str, dict[str, Any]]) -> None:
    _, report = run

    assert report["machine"]
    assert report["versions"]["pg_dump"].startswith("17.")
    assert report["command"].startswith("python -m bench.archive --size-mb 12")
