"""Servers without a server: for whoever looks at a twin's messages and states alone, and not into a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg

from holdfast_local.history.copies import Moment
from holdfast_local.history.recording import RecordedServer
from holdfast_local.postgres import Server


class HollowServer(RecordedServer):
    """Starts, stops and is restored in no time; a session with it takes any statement and finds a 1."""

    def __init__(self, directory: Path, **_: Any) -> None:
        self.directory, self._runs = directory, False

    def start(self, *, port: int | None = None) -> Server:  # noqa: ARG002  # nobody listens
        """Say that it runs; nobody is given an address, for there is none."""
        self._runs = True
        return cast(Server, None)

    @property
    def running(self) -> bool:
        """Tell whether it was started."""
        return self._runs

    def stop(self) -> None:
        """Say that it does not run."""
        self._runs = False

    def restore(self, directory: Path, moment: Moment, *, port: int | None = None) -> RecordedServer:  # noqa: ARG002
        """Return another one."""
        return HollowServer(directory)

    @contextmanager
    def session(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Yield what takes any statement."""
        yield cast(Any, _Anything())

    def remove(self) -> None:
        """Say that it does not run."""
        self._runs = False


class _Anything:
    def execute(self, *_: object) -> _Anything:
        return self

    def fetchone(self) -> tuple[int]:
        return (1,)
