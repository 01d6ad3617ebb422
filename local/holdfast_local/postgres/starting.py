"""What attached and detached servers have in common: files, ports, waiting and telling why a start failed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import ProgramFailed
from holdfast_local.postgres import cluster as files
from holdfast_local.postgres.cluster import Cluster
from holdfast_local.postgres.identity import current_identity
from holdfast_local.postgres.programs import Programs
from holdfast_local.postgres.server import Server

START_SECONDS = 60
POLL_SECONDS = 0.02
PORT_ATTEMPTS = 5
STATUS_LINE = 7  # of postmaster.pid; reads "ready" once connections are accepted
PORT_TAKEN = "could not bind"


@dataclass(frozen=True)
class Login:
    """The superuser's name and password."""

    user: str
    password: str


def prepare(directory: Path, programs: Programs, *, superuser: str, password: str | None) -> tuple[Cluster, Login]:
    """Open and, the first time, initialise the files; leave nothing behind if that fails."""
    cluster = files.open_cluster(directory, current_identity())
    try:
        return cluster, Login(superuser, files.initialise(cluster, programs, superuser=superuser, password=password))
    except BaseException:
        if not (cluster.data / "PG_VERSION").exists():
            cluster.remove()
        raise


def find_port(wanted: int | None, host: str, attempt: Callable[[int], bool]) -> int:
    """
    Call *attempt* with a port until it returns true, and return that port.

    A free port is found by binding it for a moment; somebody may take it in between, hence the attempts.
    """
    for _ in range(1 if wanted else PORT_ATTEMPTS):
        port = wanted or _free_port(host)
        if attempt(port):
            return port
    raise ProgramFailed(f"Port {port} on {host} is taken.", hint="Choose another port or stop what listens there.")


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])


def await_ready(cluster: Cluster, major: int, offset: int, is_alive: Callable[[], bool]) -> bool:
    """
    Wait until the server accepts connections; return false if its port was taken.

    *offset* is the size of the log before the start, so that an older failure is not taken for this one.
    Raises `ProgramFailed` with the last lines of the log if the server ends or is not ready within 60 s.
    """
    deadline = time.monotonic() + START_SECONDS
    while is_alive() and time.monotonic() < deadline:
        if status_of(cluster) == "ready":
            return True
        time.sleep(POLL_SECONDS)
    with cluster.log.open("rb") as log:
        log.seek(offset)
        said = log.read().decode(errors="replace").strip()
    if PORT_TAKEN in said:
        return False
    raise ProgramFailed(f"PostgreSQL {major} did not start: {said[-600:] or 'it said nothing.'}", hint=str(cluster.log))


def _lock_file(cluster: Cluster) -> list[str]:
    try:
        return (cluster.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def status_of(cluster: Cluster) -> str:
    """Return the server's own word for its state (`starting`, `ready`, `stopping`), or nothing if it is not running."""
    lines = _lock_file(cluster)
    return lines[STATUS_LINE].strip() if len(lines) > STATUS_LINE else ""


def pid_of(cluster: Cluster) -> int | None:
    """Return the process id in the data directory's lock file."""
    lines = _lock_file(cluster)
    return int(lines[0]) if lines else None


def describe(cluster: Cluster, major: int, login: Login, *, host: str, port: int, tls: bool) -> Server:
    """Describe the running server."""
    return Server(
        major=major,
        port=port,
        host=host,
        pid=pid_of(cluster) or 0,
        data_directory=cluster.data,
        log=cluster.log,
        superuser=login.user,
        password=login.password,
        authority=cluster.authority if tls else None,
    )
