"""A way to a server that a test can cut, stall, slow down or lead to another server."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

HOST = "127.0.0.1"
_BLOCK = 16 * 1024
_PROTOCOL = (3 << 16).to_bytes(4, "big")
_LOOK_SECONDS = 0.02


@dataclass(eq=False)
class Session:
    """One connection; *port* is the client's, *name* its application name, once it has said so without TLS."""

    client: socket.socket
    server: socket.socket
    port: int
    name: str = ""
    received: int = 0
    done: bool = False
    threads: int = 2

    def end(self) -> None:
        """Shut both ends down, which wakes the threads that wait for data; the last of them closes the sockets."""
        self.done = True
        for each in (self.client, self.server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close both ends: only now, when no thread uses them, may their numbers be another session's."""
        for each in (self.client, self.server):
            each.close()


class Network:
    """
    Listen on a free port and pass everything on to the server at *port* of this machine.

    Faults concern sessions whose application name begins with a given text (all, without one); `after` counts the
    bytes that the server has sent to such a session.
    """

    def __init__(self, port: int, *, host: str = HOST, at: int = 0) -> None:
        self.choose: Callable[[], int] = lambda: port
        self._sessions: set[Session] = set()
        self._faults: list[tuple[str, int, Callable[[Session], None]]] = []
        self._stalled = threading.Event()
        self._moving = threading.Event()
        self._moving.set()
        self._listener = socket.create_server((host, at), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.made = 0
        self._one_at_a_time = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, port: int) -> None:
        """Lead new connections to another server, as a failover does; `choose` is asked for each."""
        self.choose = lambda: port

    def names(self) -> list[str]:
        """Return the application names of the sessions that are open now."""
        return sorted(each.name for each in list(self._sessions))

    def port_of(self, name: str) -> int:
        """Return the client's port of the session of that *name*."""
        return next(each.port for each in list(self._sessions) if each.name == name)

    def cut(self, name: str = "") -> int:
        """Cut the open sessions of that *name* now, and return how many there were."""
        found = [each for each in list(self._sessions) if each.name.startswith(name)]
        for each in found:
            each.end()
        return len(found)

    def cut_next(self, name: str = "", *, after: int = 0) -> None:
        """Cut the next session of that *name*, once, in the middle of what the server sends."""
        self._faults.append((name, after, lambda session: session.end()))

    def do_next(self, name: str, action: Callable[[], object], *, after: int = 0) -> None:
        """Call *action*, once, when the next session of that *name* has got so far; nothing is lost on its way."""
        self._faults.append((name, after, lambda _: action()))

    def stall_next(self, name: str = "", *, after: int = 0) -> None:
        """Let everything stand still, without a word, from when the next session of that *name* has got so far."""

        def stall(_: Session) -> None:
            self._moving.clear()
            self._stalled.set()

        self._faults.append((name, after, stall))

    def await_stall(self, seconds: float = 60) -> None:
        """Wait until everything stands still."""
        assert self._stalled.wait(seconds), "nothing has been stalled"

    def go_on(self) -> None:
        """End the standstill."""
        self._moving.set()

    def close(self) -> None:
        """End everything."""
        self._moving.set()
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, (_, port) = self._listener.accept()
                try:
                    server = socket.create_connection((HOST, self.choose()), timeout=10)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                self.made += 1
                session = Session(client, server, port)
                self._sessions.add(session)
                threading.Thread(target=self._up, args=(session,), daemon=True).start()
                threading.Thread(target=self._down, args=(session,), daemon=True).start()
                if self._closed:
                    session.end()

    def _up(self, session: Session) -> None:
        with contextlib.suppress(OSError):
            while data := session.client.recv(_BLOCK):
                if not session.name and data[4:8] == _PROTOCOL:
                    session.name = application_of(data)
                self._wait(session)
                session.server.sendall(data)
        self._leave(session)

    def _down(self, session: Session) -> None:
        with contextlib.suppress(OSError):
            while data := session.server.recv(_BLOCK):
                session.received += len(data)
                if fault := self._due(session):
                    session.client.sendall(data[: len(data) // 2])
                    fault(session)
                    data = data[len(data) // 2 :]
                self._wait(session)
                session.client.sendall(data)
        self._leave(session)

    def _due(self, session: Session) -> Callable[[Session], None] | None:
        with self._one_at_a_time:
            for fault in self._faults:
                name, after, action = fault
                if session.name and session.name.startswith(name) and session.received >= after:
                    self._faults.remove(fault)
                    return action
        return None

    def _wait(self, session: Session) -> None:
        while not self._moving.wait(_LOOK_SECONDS):
            if session.done or _hung_up(session.client):
                raise OSError("gone")

    def _leave(self, session: Session) -> None:
        self._sessions.discard(session)
        session.end()
        with self._one_at_a_time:
            session.threads -= 1
            if not session.threads:
                session.close()


@contextmanager
def network(port: int, *, host: str = HOST, at: int = 0) -> Iterator[Network]:
    """Return a way to the server at *port* for as long as the block lasts, *at* a port of its own or a free one."""
    way = Network(port, host=host, at=at)
    try:
        yield way
    finally:
        way.close()


def application_of(startup: bytes) -> str:
    """Return the application name that a start-up message gives."""
    words = startup[8:].split(b"\0")
    return next((value.decode() for name, value in pairwise(words) if name == b"application_name"), "-")


def eventually(fact: Callable[[], bool], seconds: float = 20) -> bool:
    """Answer whether *fact* becomes true within *seconds*."""
    end = time.monotonic() + seconds
    while not (true := fact()) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
    return true


def _hung_up(client: socket.socket) -> bool:
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    return bool(poll.poll(0))
