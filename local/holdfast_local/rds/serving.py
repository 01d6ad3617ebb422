"""Serve the twin of RDS over HTTP, for as long as a `with` block."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast_local.history import RecordedServer
from holdfast_local.rds.account import HOST, Account, Limits
from holdfast_local.rds.api import Api
from holdfast_local.twin_server import serving


class RdsTwin:
    """An account without resources, behind *url*."""

    def __init__(
        self,
        directory: Path,
        *,
        major: int = 18,
        limits: Limits | None = None,
        seconds: float = 0.1,
        servers: type[RecordedServer] = RecordedServer,
    ) -> None:
        self.account = Account(directory, major=major, limits=limits or Limits(), seconds=seconds, servers=servers)
        self.api = Api(self.account)
        self._open = ExitStack()
        self._port = 0

    @property
    def url(self) -> str:
        """Return the endpoint for boto3."""
        if not self._port:
            raise RuntimeError("the twin does not run")
        return f"http://{HOST}:{self._port}"

    def __enter__(self) -> Self:
        self._port = self._open.enter_context(serving(self.api, "rds"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self.account.stop()
