"""
End the processes of functions when the server is gone, however it went.

A server that is killed cannot clean up. So a small process of its own reads the server's reports of
process groups from a pipe; when the pipe ends, it ends every group that is left. It runs in a session
of its own: a signal to the server's group does not reach it.
"""

from __future__ import annotations

import subprocess
import sys
import threading

# A program in text, since it must start fast and without this package: python -S -c …
PROGRAM = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


class Undertaker:
    """Knows the living process groups, in a process that outlives this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        """End *group* when this process ends."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Leave *group* alone: it has ended, and its number may be used again."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End every group that is still watched, and the watching process."""
        with self._lock:
            if self._process.stdin and not self._process.stdin.closed:
                self._process.stdin.close()
        self._process.wait(timeout=10)

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._process.stdin is None or self._process.stdin.closed:
                return
            self._process.stdin.write(line)
            self._process.stdin.flush()
