"""The demo from end to end on a small database, as `make demo` runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from holdfast.model.points import RecoveryPoint
from holdfast_local.demo import stage
from holdfast_local.demo.__main__ import main
from holdfast_local.demo.story import Story

# Beside the systems of tests/system, not a third one at the same time.
pytestmark = pytest.mark.xdist_group("system-1")

COMMAND = [sys.executable, "-m", "holdfast_local.demo", "--size-mb", "11"]


def processes_of(directory: Path) -> list[str]:
    """Return the command lines of processes that were started for *directory*."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended meanwhile
                continue
            found += [line] if str(directory) in line and "holdfast_local.demo" not in line else []
    return found


def test_the_demo_ends_with_a_proven_restore_and_leaves_nothing_running(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "--directory", str(tmp_path)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["status"] == "proven"
    assert report["faults"] == []
    assert len(report["tables"]) == 18
    assert all(table["equal"] for table in report["tables"])
    assert all(check["passed"] for check in report["checks"])
    assert all(set(table["digest"]) == {"source", "archive", "restored"} for table in report["tables"])
    assert sum(table["rows"]["archive"] for table in report["tables"]) == report["rows"] > 0
    assert {"Back up while the application writes", "Restore and prove"} <= {step["name"] for step in report["steps"]}
    assert all(step["seconds"] >= 0 for step in report["steps"])
    assert {"holdfast", "server", "python"} <= set(report["versions"])
    assert report["bytes"]["plain"] > report["bytes"]["stored"] > 0
    assert "<h1>Proven" in (tmp_path / "index.html").read_text()
    assert processes_of(tmp_path) == []


def test_a_row_that_changes_after_the_restore_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def restore_badly(told: Story, point: RecoveryPoint) -> None:
        restore(told, point)
        with psycopg.connect(told.stage.url) as connection:
            connection.execute("UPDATE order_items SET quantity = quantity + 1 WHERE order_id = 1 AND line = 1")

    restore = Story._restore
    monkeypatch.setattr(Story, "_restore", restore_badly)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    code = main(["--size-mb", "11", "--directory", str(tmp_path)])

    report = json.loads((tmp_path / "report.json").read_text())
    assert code == 1
    assert report["status"] == "not proven"
    assert report["faults"] == ["Table public.order_items is not the same everywhere."]


def test_a_second_demo_in_the_same_directory_is_refused_and_disturbs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.json").write_text("the first demo's")
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    with stage.alone(tmp_path):
        code = main(["--directory", str(tmp_path)])

    said = capsys.readouterr().out
    assert code == 5
    assert f"Another demo runs in {tmp_path}." in said
    assert "--directory" in said
    assert [path.name for path in tmp_path.iterdir() if path.name != "lock"] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "the first demo's"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_takes_everything_down(tmp_path: Path, number: int) -> None:
    with subprocess.Popen([*COMMAND, "--directory", str(tmp_path)], stdout=subprocess.PIPE, text=True) as demo:
        limit = time.monotonic() + 60
        while not list(tmp_path.rglob("endpoint.json")) and time.monotonic() < limit:
            time.sleep(0.1)
        demo.send_signal(number)
        said, _ = demo.communicate(timeout=60)

    assert demo.returncode == 130
    assert "everything that was started is down" in said
    assert processes_of(tmp_path) == []
