"""A stand-in for a connection pooler: it passes everything on, but greets with a process id of its own."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_KEY_DATA = b"K\x00\x00\x00\x0c"


@contextmanager
def pooler(host: str, port: int) -> Iterator[int]:
    """Listen on a free port for as long as the block lasts, for one client; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection((host, port)) as server:
        thread = threading.Thread(target=_serve, args=(listener, server))
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client, _ = listener.accept()
        with client:
            forward = threading.Thread(target=_pump, args=(client, server))
            forward.start()
            _pump(server, client, change=True)
            forward.join()


def _pump(source: socket.socket, target: socket.socket, *, change: bool = False) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if change and (start := data.find(_KEY_DATA)) >= 0:
                place = start + len(_KEY_DATA)
                data, change = data[:place] + b"\x00\x00\x00\x07" + data[place + 4 :], False
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
