"""A Neon project with rows, served by the twin, shared by the tests of a module."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from tests.providers.contract import Contract

from holdfast.adapters.neon import Neon
from holdfast_local.neon import Limits, NeonTwin

LIMITS = Limits(branches=8, root_branches=3, manual_snapshots=3)


@dataclass(frozen=True)
class World:
    """The twin, a provider over its default branch, and plain calls of its API."""

    twin: NeonTwin
    neon: Neon

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Call the API of the project without any retry."""
        return httpx.request(
            method,
            f"{self.twin.url}/projects/{self.twin.project.id}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.twin.key}"},
            timeout=30,
        )

    def settle(self) -> None:
        """Wait until no operation runs."""
        until(lambda: all(each.ended_at for each in self.twin.project.operations.all()))

    def run(self, statement: str, copy_id: str | None = None) -> Any:
        """Run *statement* in the source or in a copy; return the first value of its first row, if it has any."""
        login = self.neon.login(copy_id or self.neon.source())
        with psycopg.connect(login.url, autocommit=True) as session:
            cursor = session.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until *holds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def provider(twin: NeonTwin, *, key: str | None = None, patience: float = 60.0) -> Neon:
    """Return a provider over the twin's default branch."""
    return Neon(
        key=key or twin.key,
        project_id=twin.project.id,
        database="neondb",
        role="neondb_owner",
        sleep=time.sleep,
        now=lambda: datetime.now(UTC),
        base=twin.url,
        patience=patience,
    )


@pytest.fixture(scope="session")
def contract() -> Contract | None:
    """Return Neon's contract, where its file is given."""
    given = os.environ.get("NEON_OPENAPI")
    return Contract(Path(given)) if given else None


@pytest.fixture
def world(tmp_path: Path, contract: Contract | None) -> Iterator[World]:
    with NeonTwin(tmp_path / "neon", limits=LIMITS, seconds=0.05) as twin:
        yield World(twin, provider(twin))
        if contract is not None:
            for exchange in twin.api.exchanges:
                contract.check(exchange)
