"""The server and the local system that the story plays on, gone when it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import Permanent
from holdfast_cli.system import System, connected
from holdfast_local import system
from holdfast_local.postgres import EmbeddedPostgres, Server, start_detached, stop_detached

DATABASE = "shop"
MAJOR = 18
# Apart from the server, which may run as another user and so may not look into the system's own directory.
SYSTEM = "local"
URL_ENV = "HOLDFAST_DEMO_URL"
CONFIGURATION = """\
[holdfast]
name = "holdfast-demo"
region = "eu-central-1"

[databases.shop]
provider = "postgres"
url_env = "HOLDFAST_DEMO_URL"

[[databases.shop.checks]]
name = "there are users"
sql = "SELECT count(*) > 0 FROM users"
expect = true

[[databases.shop.checks]]
name = "no order is without its user"
sql = "SELECT count(*) FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE u.id IS NULL"
expect = 0
"""
# A server as small installations have it; writing is not the bottleneck that the demo is to show.
SETTINGS: dict[str, str | int | bool] = {
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "maintenance_work_mem": "64MB",
}


class DemoAlreadyRunning(Permanent):
    """Another demo plays in the same directory: each would take away what the other stands on."""

    hint = "Wait until it has ended, or give another --directory."


@dataclass(frozen=True)
class Stage:
    """A server with the application's database on it, and a system that protects it under the name *database*."""

    server: Server
    system: System
    database: str = DATABASE

    @property
    def url(self) -> str:
        """Return the superuser's URL of the application's database."""
        return self.server.url(self.database)


@contextlib.contextmanager
def server(directory: Path, *, keep: bool) -> Iterator[Server]:
    """Run the embedded server; with *keep* it outlives us until `holdfast local down`."""
    place = directory / "postgres"
    stop_detached(place, remove=True)  # what an earlier run with --keep left
    if keep:
        yield start_detached(place, major=MAJOR, settings=SETTINGS)
        return
    with EmbeddedPostgres(MAJOR, place, settings=SETTINGS) as started:
        yield started


def raise_system(directory: Path, started: Server, *, keep: bool, report: Callable[[str], None]) -> System:
    """Bring the local system up for the server's database and connect to it."""
    configuration = directory / "holdfast.toml"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    found = system.up(
        configuration,
        directory=directory / SYSTEM,
        environment={**os.environ, URL_ENV: started.url(DATABASE)},
        servers=(directory / "postgres",) if keep else (),
        report=report,
    )
    return connected(found)


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep *directory* for this demo while the block lasts; raises `DemoAlreadyRunning`."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoAlreadyRunning(f"Another demo runs in {directory}.") from None
        yield


@contextlib.contextmanager
def cleared(directory: Path, *, keep: bool) -> Iterator[None]:
    """Remove what an earlier run left, and take the local system down at the end unless *keep*."""
    system.down(directory / SYSTEM)
    try:
        yield
    finally:
        if not keep:
            system.down(directory / SYSTEM)
