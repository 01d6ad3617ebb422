"""Servers end with the process that started them, or, when detached, with the order to stop."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from holdfast_local.postgres import embedded, start_detached, status, stop_detached
from holdfast_local.postgres.identity import NOBODY, Identity, can_enter

PATIENCE_SECONDS = 30
START_AND_WAIT = """
import sys, time
from pathlib import Path
from holdfast_local.postgres import EmbeddedPostgres
server = EmbeddedPostgres(18, Path(sys.argv[1])).start()
print(server.pid, server.data_directory.parent, flush=True)
time.sleep(600)
"""
# Give up root for good once everything is imported (our interpreter may lie below /root), then start a server.
BECOME_NOBODY = """
import os, sys
from pathlib import Path
from holdfast_local.postgres import EmbeddedPostgres
sys._base_executable = sys.argv[2]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
server = EmbeddedPostgres(18, Path(sys.argv[1])).start()
print(server.pid, server.data_directory.parent, Path(f"/proc/{server.pid}").stat().st_uid, flush=True)
"""
SYSTEM_PYTHON = (Path("/usr/bin/python3"),)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def becomes_true(fact: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int, Path]]:
    """Give a process that has started a server, the server's id and the directory of its files."""
    process = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, tmp_path / "server"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pid, home = process.stdout.readline().split()
    yield process, int(pid), Path(home)
    process.kill()
    process.communicate()


def test_a_server_ends_cleanly_when_its_starter_is_killed(
    starter: tuple[subprocess.Popen[str], int, Path],
) -> None:
    process, pid, home = starter
    relocated = os.geteuid() == 0

    process.kill()

    assert becomes_true(lambda: not is_running(pid))
    assert becomes_true(lambda: not home.exists() if relocated else not (home / "data" / "postmaster.pid").exists())


def test_a_server_ends_when_even_its_guard_is_killed(starter: tuple[subprocess.Popen[str], int, Path]) -> None:
    _process, pid, home = starter

    os.kill(parent_of(pid), signal.SIGKILL)

    assert becomes_true(lambda: not is_running(pid))
    assert "database system is shut down" in (home / "log").read_text()
    shutil.rmtree(home)


def test_an_interrupt_at_the_keyboard_does_not_reach_the_server(
    starter: tuple[subprocess.Popen[str], int, Path],
) -> None:
    process, pid, _home = starter

    assert os.getpgid(pid) != os.getpgid(process.pid)
    assert os.getsid(pid) != os.getsid(process.pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="we are an ordinary user already: every other test shows it")
def test_an_ordinary_user_may_run_servers() -> None:
    nobody = Identity(NOBODY, NOBODY, drops=True)
    interpreters = [path for path in (Path(sys.executable).resolve(), *SYSTEM_PYTHON) if path.exists()]
    usable = [path for path in interpreters if can_enter(path.parent, nobody)]
    if not usable or not can_enter(Path(embedded.__file__).parent, nobody):
        pytest.skip("this clone is closed to other users, so that none of them could run anything of it")
    directory = Path(tempfile.mkdtemp())
    os.chown(directory, NOBODY, NOBODY)

    done = subprocess.run(
        [sys.executable, "-c", BECOME_NOBODY, directory / "server", usable[0]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    pid, home, owner = done.stdout.split() or ("0", "", done.stderr)

    assert owner == str(NOBODY)
    assert Path(home) == directory / "server"
    assert becomes_true(lambda: not is_running(int(pid)))
    shutil.rmtree(directory)


def test_a_detached_server_is_found_again_and_stopped(tmp_path: Path) -> None:
    directory = tmp_path / "a directory"
    started = start_detached(directory, major=17, tls=True)
    try:
        found = status(directory)
        again = start_detached(directory, major=17, tls=True)
        with psycopg.connect(started.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    finally:
        stopped = stop_detached(directory)

    assert found == again == started
    assert (stopped, status(directory), stop_detached(directory, remove=True)) == (True, None, False)
    assert not is_running(started.pid)


def test_a_detached_server_outlives_its_starter_and_keeps_its_data(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    script = (
        f"from pathlib import Path\nfrom holdfast_local.postgres import *\nstart_detached(Path({str(directory)!r}))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

    server = status(directory)
    assert server is not None
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    stop_detached(directory)
    restarted = start_detached(directory)
    try:
        with psycopg.connect(restarted.url()) as connection:
            row = connection.execute("SELECT answer FROM kept").fetchone()
    finally:
        stop_detached(directory, remove=True)

    assert row == (42,)
    assert not directory.exists()
    assert not restarted.data_directory.exists()


def test_nothing_is_known_of_a_directory_that_never_held_a_server(tmp_path: Path) -> None:
    assert status(tmp_path) is None
    assert stop_detached(tmp_path / "absent") is False
