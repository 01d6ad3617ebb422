"""Two real servers, a source's and a target's, and the whole way from one to the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast_local.postgres import EmbeddedPostgres
from restore.conftest import Databases, client_programs, databases, programs, shop
from twice.pipeline import Pipeline

__all__ = ["client_programs", "databases", "programs", "shop"]


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("target")) as server:
        yield Databases(server)


@pytest.fixture(scope="session")
def once(databases: Databases, shop: str, target: Databases, programs: str) -> Pipeline:
    """Return the whole way with each function called once: what the others are compared with."""
    return _gone(databases, shop, target, programs, "once")


@pytest.fixture(scope="session")
def again(databases: Databases, shop: str, target: Databases, programs: str) -> Pipeline:
    """Return the whole way with each function called a second time when it has succeeded, and all again at the end."""
    return _gone(databases, shop, target, programs, "again")


@pytest.fixture(scope="session")
def at_once(databases: Databases, shop: str, target: Databases, programs: str) -> Pipeline:
    """Return the whole way with two invocations of each function side by side."""
    return _gone(databases, shop, target, programs, "at once")


def _gone(source: Databases, name: str, target: Databases, programs: str, way: str) -> Pipeline:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", programs)
        pipeline = Pipeline(source, name, target, way)
        pipeline.go()
        return pipeline
