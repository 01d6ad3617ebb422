"""Serve the twin of RDS over HTTP, for as long as a `with` block."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from holdfast_local.rds.account import HOST, Account, Limits
from holdfast_local.rds.api import Api


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: `Api.calls` has it."""


class RdsTwin:
    """An account without resources, behind *url*."""

    def __init__(self, directory: Path, *, major: int = 18, limits: Limits | None = None, seconds: float = 0.1) -> None:
        self.account = Account(directory, major=major, limits=limits or Limits(), seconds=seconds)
        self.api = Api(self.account)
        self._server: BaseWSGIServer | None = None

    @property
    def url(self) -> str:
        """Return the endpoint for boto3."""
        if self._server is None:
            raise RuntimeError("the twin does not run")
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._server = make_server(HOST, 0, self.api, threaded=True, request_handler=_Quiet)
        threading.Thread(target=self._server.serve_forever, name="rds", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self.account.stop()
