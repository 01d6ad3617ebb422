"""Serve the twin of one Neon project over HTTP, for as long as a `with` block."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast_local.history import RecordedServer
from holdfast_local.neon.api import BASE, Api
from holdfast_local.neon.project import LAUNCH, Limits, Project
from holdfast_local.neon.things import HOST
from holdfast_local.twin_server import serving


class NeonTwin:
    """A project with one branch and one compute, behind *url* with *key*."""

    def __init__(
        self,
        directory: Path,
        *,
        major: int = 18,
        limits: Limits = LAUNCH,
        seconds: float = 0.2,
        servers: type[RecordedServer] = RecordedServer,
    ) -> None:
        self.project = Project(directory, major=major, limits=limits, seconds=seconds, servers=servers)
        self.key = f"napi_{secrets.token_hex(16)}"
        self.api = Api(self.project, self.key)
        self._open = ExitStack()
        self._port = 0

    @property
    def url(self) -> str:
        """Return the address that takes the place of `https://console.neon.tech/api/v2`."""
        if not self._port:
            raise RuntimeError("the twin does not run")
        return f"http://{HOST}:{self._port}{BASE}"

    def __enter__(self) -> Self:
        self.project.start()
        self._port = self._open.enter_context(serving(self.api, "neon"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self.project.stop()
