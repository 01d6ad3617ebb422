"""A relay between Holdfast and a server: it rewrites what the server says, stalls a session, and knows who is there."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

BLOCK = 16 * 1024
STALL_BYTES = 256 * 1024
"""What a stalled session may move in one direction before it stands still."""
LOOK_SECONDS = 0.05
PROTOCOL = (3 << 16).to_bytes(4, "big")
"""What a start-up message begins with, after its length; a request for TLS may come before it."""
LOCALHOST = "127.0.0.1"
IMPORT = re.compile(rb"SET TRANSACTION SNAPSHOT '([^']+)'")


@dataclass(eq=False)
class Session:
    """One connection through the relay; *port* is the client's end."""

    client: socket.socket
    server: socket.socket
    port: int
    application: bytes = b""
    threads: int = 2
    moved: dict[str, int] = field(default_factory=lambda: {"down": 0, "up": 0})


class Relay:
    """
    Listen on a free port and pass everything on to *port* of this machine.

    *rewriting* replaces bytes in what the server sends, by others of the same length. Sessions whose application name
    begins with *stalls* stand still in either direction after `STALL_BYTES`, until `open` is called; those that begin
    with *crawls* get so many bytes a second from the server until then. `snapshots` are those that were imported.
    """

    def __init__(
        self,
        port: int,
        *,
        rewriting: Mapping[bytes, bytes] | None = None,
        stalls: str = "",
        crawls: str = "",
        bytes_per_second: int = BLOCK,
    ) -> None:
        self._target, self._rewriting, self._stalls = port, dict(rewriting or {}), stalls.encode()
        self._crawls, self._bytes_per_second = crawls.encode(), bytes_per_second
        self.snapshots: set[bytes] = set()
        self._gate = threading.Event()
        self._stalled = threading.Semaphore(0)
        self._sessions: set[Session] = set()
        self._one_at_a_time = threading.Lock()
        self._listener = socket.create_server((LOCALHOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def await_stall(self, seconds: float = 60) -> None:
        """Wait until one more session stands still."""
        assert self._stalled.acquire(timeout=seconds), "no session has been stalled"

    def open(self) -> None:
        """Let every session go on, and stall none any more."""
        self._gate.set()

    def kill(self, application: str) -> int:
        """Kill the functions that talk through here under names that begin so, as Lambda would; return how many."""
        groups = {os.getpgid(process_with(each.port)) for each in self._named(application)}
        for group in groups:
            assert b"AWS_LAMBDA_FUNCTION_NAME=" in Path(f"/proc/{group}/environ").read_bytes()
            os.killpg(group, signal.SIGKILL)
        return len(groups)

    def command_lines(self, application: str) -> list[bytes]:
        """Return the command lines of those who talk through here under names that begin so, and of their parents."""
        groups = {os.getpgid(process_with(each.port)) for each in self._named(application)}
        lines = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                if os.getpgid(int(process.name)) in groups:
                    lines.append((process / "cmdline").read_bytes())
        return lines

    def close(self) -> None:
        """End everything."""
        self._gate.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in list(self._sessions):
            self._end(session)

    def _named(self, application: str) -> list[Session]:
        return [each for each in list(self._sessions) if each.application.startswith(application.encode())]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, (_, port) = self._listener.accept()
                try:
                    server = socket.create_connection((LOCALHOST, self._target), timeout=10)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                session = Session(client, server, port)
                self._sessions.add(session)
                for way in ("up", "down"):
                    threading.Thread(target=self._pump, args=(session, way), daemon=True).start()

    def _pump(self, session: Session, way: str) -> None:
        source, target = (session.client, session.server) if way == "up" else (session.server, session.client)
        with contextlib.suppress(OSError):
            while data := source.recv(BLOCK):
                if way == "up" and data[4:8] == PROTOCOL and not session.application:
                    session.application = application_of(data)
                if way == "up":
                    self.snapshots.update(IMPORT.findall(data))
                elif self._crawls and session.application.startswith(self._crawls):
                    self._gate.wait(len(data) / self._bytes_per_second)
                if not self._pass(session, way, len(data)):
                    break
                target.sendall(self._rewritten(data) if way == "down" else data)
        self._leave(session)

    def _pass(self, session: Session, way: str, size: int) -> bool:
        """Wait while the session is to stand still; False when its client has gone meanwhile."""
        session.moved[way] += size
        if self._gate.is_set() or not self._is_stalled(session) or session.moved[way] < STALL_BYTES:
            return True
        self._stalled.release()
        while not self._gate.wait(LOOK_SECONDS):
            if _hung_up(session.client):
                return False
        return True

    def _is_stalled(self, session: Session) -> bool:
        return bool(self._stalls) and session.application.startswith(self._stalls)

    def _rewritten(self, data: bytes) -> bytes:
        for before, after in self._rewriting.items():
            data = data.replace(before, after)
        return data

    def _leave(self, session: Session) -> None:
        """End the session; its last thread closes the sockets, whose numbers may be another session's from then on."""
        self._sessions.discard(session)
        self._end(session)
        with self._one_at_a_time:
            session.threads -= 1
            if not session.threads:
                session.client.close()
                session.server.close()

    def _end(self, session: Session) -> None:
        """Shut both ends down, which wakes the threads that wait for data."""
        for each in (session.client, session.server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def application_of(startup: bytes) -> bytes:
    """Return the application name that a start-up message gives."""
    words = startup[8:].split(b"\0")
    return next((value for name, value in pairwise(words) if name == b"application_name"), b"-")


def process_with(port: int) -> int:
    """Return the process of this machine whose end of a TCP connection has *port*."""
    socket_name = f"socket:[{_inode(port)}]"
    for descriptor in _descriptors():
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) == socket_name:
                return int(descriptor.parts[2])
    raise AssertionError(f"nobody has port {port}")


def _inode(port: int) -> str:
    ends = f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[1].endswith(ends) and words[9] != "0":
            return words[9]
    raise AssertionError(f"no connection comes from port {port}")


def _descriptors() -> Iterator[Path]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):
                yield from (process / "fd").iterdir()


def _hung_up(client: socket.socket) -> bool:
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))
