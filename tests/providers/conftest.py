"""Worlds of the providers; messages of Neon and Vercel are held against their contracts where those are given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.providers.contract import Contract
from tests.providers.worlds import WORLDS, NeonWorld, World

from holdfast_local.history import HollowServer, RecordedServer


@pytest.fixture(scope="session")
def contract() -> Contract | None:
    """Return Neon's contract, where its file is given."""
    given = os.environ.get("NEON_OPENAPI")
    return Contract(Path(given)) if given else None


@pytest.fixture(scope="session")
def vercel_contract() -> Contract | None:
    """Return Vercel's contract, where its file is given."""
    given = os.environ.get("VERCEL_OPENAPI")
    return Contract(Path(given)) if given else None


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path, contract: Contract | None) -> Iterator[World]:
    """Yield a world of each provider with real servers."""
    with WORLDS[request.param](tmp_path / "twin", RecordedServer) as world:
        yield world
        _check(world, contract)


@pytest.fixture(params=sorted(WORLDS))
def hollow(request: pytest.FixtureRequest, tmp_path: Path, contract: Contract | None) -> Iterator[World]:
    """Yield a world of each provider without servers: nobody looks into a database."""
    with WORLDS[request.param](tmp_path / "twin", HollowServer) as world:
        yield world
        _check(world, contract)


@pytest.fixture
def neon_world(tmp_path: Path, contract: Contract | None) -> Iterator[NeonWorld]:
    with NeonWorld(tmp_path / "twin") as world:
        yield world
        _check(world, contract)


@pytest.fixture
def hollow_neon(tmp_path: Path, contract: Contract | None) -> Iterator[NeonWorld]:
    with NeonWorld(tmp_path / "twin", HollowServer) as world:
        yield world
        _check(world, contract)


def _check(world: World, contract: Contract | None) -> None:
    if contract is not None and isinstance(world, NeonWorld):
        for exchange in world.twin.api.exchanges:
            contract.check(exchange)
