"""
Look at and signal the processes of one execution environment.

A function starts programs (psql, pg_dump); Lambda counts their memory, freezes and ends them with the
environment. Here an environment is a process group plus every descendant of its first process, so that
a program that started a session of its own is counted too. A program that detached itself completely
(its parent has gone, and it left the group) escapes; on Lambda it would not.

Linux only, by /proc; elsewhere by `ps`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
LINUX = sys.platform == "linux"


def tree(root: int) -> list[int]:
    """List *root* and all its descendants; a process that ends meanwhile is left out."""
    if not LINUX:
        return _tree_by_ps(root)
    found, todo = [], [root]
    while todo:
        process = todo.pop()
        found.append(process)
        todo += _children(process)
    return found


def _children(process: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208 (hot loop)
            listed = Path(f"/proc/{process}/task/{thread}/children").read_text(encoding="ascii")
            children += [int(child) for child in listed.split()]
    except OSError:
        pass  # it has just ended
    return children


def _tree_by_ps(root: int) -> list[int]:
    parents = {int(row[0]): int(row[1]) for row in _ps("pid=,ppid=") if len(row) == 2}
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process and child not in found]
    return found


def _ps(columns: str) -> list[list[str]]:
    listed = subprocess.run(["ps", "-axo", columns], capture_output=True, text=True, check=False)
    return [line.split() for line in listed.stdout.splitlines()]


def resident_bytes(processes: Iterable[int]) -> int:
    """Add up the resident memory of *processes*, in bytes."""
    if not LINUX:
        sizes = {int(row[0]): int(row[1]) * 1024 for row in _ps("pid=,rss=") if len(row) == 2}
        return sum(sizes.get(process, 0) for process in processes)
    return sum(_resident(process) for process in processes)


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def peak_bytes(process: int) -> int:
    """Return the most resident memory that *process* ever had, in bytes; 0 where it cannot be told."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def signal_tree(root: int, number: signal.Signals) -> None:
    """Send *number* to the process group that *root* leads and to its descendants outside it."""
    for process in tree(root)[1:]:
        _send(process, number)
    try:
        os.killpg(root, number)
    except (ProcessLookupError, PermissionError):
        _send(root, number)


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)


def started_at(process: int) -> str | None:
    """
    Tell when *process* started, as an opaque text; None when there is no such process.

    Process ids are used again; the pair of id and start is not.
    """
    if LINUX:
        try:
            fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            return None
        return None if fields[0] == "Z" else fields[19]
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(process)], capture_output=True, text=True, check=False)
    return listed.stdout.strip() or None
