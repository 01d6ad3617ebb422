"""Two servers, one to copy from and one to restore to, and a database that holds one of everything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_local.postgres import EmbeddedPostgres, locate
from holdfast_local.postgres.identity import new_public_directory
from roundtrip.servers import Place, RoundTrip, published, round_trip

HERE = Path(__file__).parent
KINDS = sorted((HERE / "kinds").glob("*.sql"))
ROLES = ("the owner", "reader", "writer", 'odd ""role', "chained")


@pytest.fixture(scope="session")
def programs() -> str:
    """Return the directory of the client programs, which a layer puts on PATH."""
    return str(locate(18).path("psql").parent)


@pytest.fixture(autouse=True)
def client_programs(programs: str, monkeypatch: pytest.MonkeyPatch, fixed_environment: None) -> None:
    monkeypatch.setenv("PATH", programs)


@pytest.fixture(scope="session")
def extensions() -> Iterator[Path]:
    """Return a directory of extensions of our own that servers may read."""
    made = new_public_directory()
    yield published(HERE / "extension", made)
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory, extensions: Path) -> Iterator[Place]:
    settings = {"extension_control_path": f"{extensions}:$system"}
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("source"), settings=settings) as server:
        place = Place(server)
        for role in ROLES:
            place.query("postgres", f'CREATE ROLE "{role}"')
        yield place


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory, extensions: Path) -> Iterator[Place]:
    settings = {"extension_control_path": f"{extensions}:$system"}
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("target"), settings=settings) as server:
        yield Place(server)


@pytest.fixture(scope="session")
def everything(source: Place, target: Place, programs: str) -> RoundTrip:
    """Return the round trip of a database with one of everything: read it, never change it."""
    source.query("postgres", "CREATE DATABASE everything TEMPLATE template0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", programs)
        for script in KINDS:
            source.fill("everything", script)
        return round_trip(source, "everything", target, "everything_again")
