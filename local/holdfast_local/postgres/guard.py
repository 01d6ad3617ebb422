"""
Keep one server alive exactly as long as the process that asked for it.

This file is a program of its own (standard library only; its text is handed to `python -c`, so that it runs
even where the project's files cannot be read). It starts the server as its child and reads its standard
input, a pipe whose other end only the asking process holds. When that process stops the server, ends or is
killed, the pipe closes and the server gets a fast shutdown. Should the guard itself be killed, the kernel
sends the server the same signal (PR_SET_PDEATHSIG). That alone would not do: it fires when the *thread* that
started the server ends, which the guard, having one thread, never suffers from. (A child that the asking
process makes by a bare fork holds the pipe too: the server then lives as long as the last of them.)
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.25
STOP = b"s"  # written into the pipe by an orderly stop, after which the files stay
# How PostgreSQL is asked to end, in order: fast shutdown, immediate shutdown, kill; and seconds given to each.
ENDINGS = ((signal.SIGINT, 20), (signal.SIGQUIT, 5), (signal.SIGKILL, 5))


def launch(order: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the server that *order* describes, as the given user, writing into its log."""
    libc = ctypes.CDLL(None, use_errno=True)
    guard = os.getpid()

    def die_with_guard() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != guard:  # the guard died before the line above
            os._exit(1)

    with open(order["log"], "ab") as log:  # noqa: PTH123  (pathlib costs 10 ms of start-up)
        return subprocess.Popen(
            order["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order["directory"],
            env=order["environment"],
            preexec_fn=die_with_guard,  # noqa: PLW1509  (safe: one thread)
            **order["identity"],
        )


def wait(server: subprocess.Popen[bytes]) -> bool:
    """Return true when the asking process is gone, false when it asked for the end or the server ended by itself."""
    while server.poll() is None:
        readable, _, _ = select.select([0], [], [], POLL_SECONDS)
        if readable:
            return os.read(0, 1) != STOP
    return False


def end(server: subprocess.Popen[bytes]) -> None:
    """Shut the server down, ever less politely, until it is gone."""
    for number, seconds in ENDINGS:
        if server.poll() is not None:
            return
        server.send_signal(number)
        try:
            server.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def main() -> int:
    """Run the order in the first argument and return the server's exit code."""
    order = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # only the pipe counts; a handler, since SIG_IGN would be inherited
    server = launch(order)
    orphaned = wait(server)
    end(server)
    for path in order["remove"] if orphaned else []:
        shutil.rmtree(path, ignore_errors=True)
    return server.returncode


if __name__ == "__main__":
    sys.exit(main())
