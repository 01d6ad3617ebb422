"""Fixtures: real servers, and databases on them that one test has for itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from fakes.network import eventually
from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect
from holdfast_local.postgres import EmbeddedPostgres, Server, locate
from snapshot.rig import Rig

_NAMES = count(1)
USERS = """
    CREATE TABLE users (id int PRIMARY KEY, name text);
    INSERT INTO users SELECT n, 'u' || n FROM generate_series(1, 1000) n
"""
ORDERS = """
    CREATE TABLE orders (id serial, user_id int);
    INSERT INTO orders (user_id) SELECT n FROM generate_series(1, 500) n
"""
_QUEUED = """
    SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = %s AND NOT l.granted AND l.waitstart IS NOT NULL
"""
SHOP = (Path(__file__).parents[1] / "restore" / "shop.sql").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Databases:
    """One server, and databases on it that nobody else uses."""

    server: Server

    def create(self, *scripts: str) -> ConnectionParameters:
        """Return how to reach a new database in which *scripts* have run."""
        name = f"db_{os.getpid()}_{next(_NAMES)}"
        with self.connect(self.parameters("postgres")) as session:
            session.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        with self.connect(self.parameters(name)) as session:
            for script in scripts:
                session.execute(script.encode())
        return self.parameters(name)

    def parameters(self, name: str) -> ConnectionParameters:
        return ConnectionParameters.from_secret(self.server.url(name))

    def connect(self, parameters: ConnectionParameters) -> Connection:
        return connect(parameters, application_name="test")

    def queued(self, parameters: ConnectionParameters, sessions: int = 1) -> None:
        """Wait until so many sessions of the database wait for a lock, and the server knows since when."""
        with self.connect(self.parameters("postgres")) as session:

            def wait() -> bool:
                found = session.execute(_QUEUED.encode(), (parameters.dbname,)).fetchone()
                return bool(found and found[0] >= sessions)

            assert eventually(wait, 60), f"fewer than {sessions} sessions wait for a lock"

    def role(self, attributes: str = "") -> str:
        """Return the name of a new role that may log in with the password `secret`."""
        name = f"role_{os.getpid()}_{next(_NAMES)}"
        with self.connect(self.parameters("postgres")) as session:
            session.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret' {attributes}".encode())
        return name


@pytest.fixture(scope="session")
def programs_directory() -> str:
    """Return the directory of the client programs, which a layer puts on PATH."""
    return str(locate(18).path("psql").parent)


@pytest.fixture(autouse=True)
def client_programs(programs_directory: str, monkeypatch: pytest.MonkeyPatch, fixed_environment: None) -> None:
    monkeypatch.setenv("PATH", programs_directory)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    with EmbeddedPostgres(18, tmp_path_factory.mktemp("pg18")) as server:
        yield Databases(server)


@pytest.fixture
def shop(databases: Databases) -> Rig:
    """Return a rig around a database with everything that makes backups hard."""
    return Rig(databases.create(SHOP))


@pytest.fixture
def small(databases: Databases) -> Rig:
    """Return a rig around a database with two small tables."""
    return Rig(databases.create(USERS, ORDERS))
