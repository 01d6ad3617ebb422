"""Serve the twin of one Neon project over HTTP, for as long as a `with` block."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from holdfast_local.neon.api import BASE, Api
from holdfast_local.neon.project import LAUNCH, Limits, Project
from holdfast_local.neon.things import HOST


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: `Api.requests` has it."""


class NeonTwin:
    """A project with one branch and one compute, behind *url* with *key*."""

    def __init__(self, directory: Path, *, major: int = 18, limits: Limits = LAUNCH, seconds: float = 0.2) -> None:
        self.project = Project(directory, major=major, limits=limits, seconds=seconds)
        self.key = f"napi_{secrets.token_hex(16)}"
        self.api = Api(self.project, self.key)
        self._server: BaseWSGIServer | None = None

    @property
    def url(self) -> str:
        """Return the address that takes the place of `https://console.neon.tech/api/v2`."""
        if self._server is None:
            raise RuntimeError("the twin does not run")
        return f"http://{HOST}:{self._server.server_port}{BASE}"

    def __enter__(self) -> Self:
        self.project.start()
        self._server = make_server(HOST, 0, self.api, threaded=True, request_handler=_Quiet)
        threading.Thread(target=self._server.serve_forever, name="neon", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self.project.stop()
