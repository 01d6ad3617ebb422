"""Serve the HTTP API of a vendor's twin on a free port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the twin keeps what it was asked."""


@contextmanager
def serving(application: WSGIApplication, name: str) -> Iterator[int]:
    """Serve *application* from a thread called *name* for as long as the `with` block lasts; yields the port."""
    server = make_server(HOST, 0, application, threaded=True, request_handler=_Quiet)
    threading.Thread(target=server.serve_forever, name=name, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
