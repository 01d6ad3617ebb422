"""Real servers, and a shop on one of them whose schema has all that makes restores hard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect
from holdfast.model import building
from holdfast.usecases.restore import batching
from holdfast_local.postgres import EmbeddedPostgres, Server, locate
from restore.archiving import Archiver
from restore.running import Machine, machine

SHOP = (Path(__file__).parent / "shop.sql").read_text(encoding="utf-8")
_NAMES = count(1)


@dataclass(frozen=True)
class Databases:
    """One server, and databases on it that nobody else uses."""

    server: Server

    def parameters(self, name: str) -> ConnectionParameters:
        return ConnectionParameters.from_secret(self.server.url(name))

    def connect(self, name: str) -> Connection:
        return connect(self.parameters(name), application_name="test")

    def name(self) -> str:
        """Return a name that no database of the server has."""
        return f"db_{os.getpid()}_{next(_NAMES)}"

    def create(self, *scripts: str, template: str = "template0") -> str:
        """Return the name of a new database in which *scripts* have run."""
        name = self.name()
        with self.connect("postgres") as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        with self.connect(name) as connection:
            for script in scripts:
                connection.execute(script)
        return name

    def exists(self, name: str) -> bool:
        with self.connect("postgres") as connection:
            return bool(connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone())

    def run(self, name: str, statement: str) -> list[tuple[object, ...]]:
        with self.connect(name) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def programs() -> str:
    """Return the directory of the client programs, which a layer puts on PATH."""
    return str(locate(18).path("psql").parent)


@pytest.fixture(autouse=True)
def client_programs(programs: str, monkeypatch: pytest.MonkeyPatch, fixed_environment: None) -> None:
    monkeypatch.setenv("PATH", programs)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("pg18")) as server:
        yield Databases(server)


@pytest.fixture(scope="session")
def shop(databases: Databases) -> str:
    """Return the name of the shop's database: read it, never change it."""
    return databases.create(SHOP)


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every table that has rows count as a large one."""
    monkeypatch.setattr(building, "LARGE_TABLE", 1)
    monkeypatch.setattr(batching, "LARGE_TABLE", 1)


@pytest.fixture(params=["small tables", "large tables"])
def any_size(request: pytest.FixtureRequest) -> None:
    """Let every table count as a small one, and then as a large one."""
    if request.param == "large tables":
        request.getfixturevalue("all_large")


@pytest.fixture
def archiver() -> Archiver:
    return Archiver()


@pytest.fixture
def wired(databases: Databases, archiver: Archiver) -> Callable[..., Machine]:
    """Return a function that makes a machine for the source database *name*."""

    def make(name: str, **others: object) -> Machine:
        url = databases.server.url(name)
        return machine(archiver, {"holdfast/shop": url, "holdfast/target/other": url}, **others)  # type: ignore[arg-type]

    return make


@pytest.fixture
def restored(databases: Databases, shop: str, archiver: Archiver, wired: Callable[..., Machine]) -> Machine:
    """Return a machine for the shop, of which one intact point exists."""
    archiver.take(databases.parameters(shop))
    return wired(shop)
