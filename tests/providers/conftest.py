"""Worlds of the providers; Neon's messages are held against its contract where that is given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.providers.contract import Contract
from tests.providers.worlds import WORLDS, NeonWorld, World


@pytest.fixture(scope="session")
def contract() -> Contract | None:
    """Return Neon's contract, where its file is given."""
    given = os.environ.get("NEON_OPENAPI")
    return Contract(Path(given)) if given else None


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path, contract: Contract | None) -> Iterator[World]:
    with WORLDS[request.param](tmp_path / "twin") as world:
        yield world
        _check(world, contract)


@pytest.fixture
def neon_world(tmp_path: Path, contract: Contract | None) -> Iterator[NeonWorld]:
    with NeonWorld(tmp_path / "twin") as world:
        yield world
        _check(world, contract)


def _check(world: World, contract: Contract | None) -> None:
    if contract is not None and isinstance(world, NeonWorld):
        for exchange in world.twin.api.exchanges:
            contract.check(exchange)
