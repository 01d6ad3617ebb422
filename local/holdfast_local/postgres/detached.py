"""
Run a server in the background until somebody stops it, for `holdfast local up`.

The directory holds `server.json` (who and where, readable by us alone), so that any later process finds the
server. Nothing ties it to the process that started it.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.errors import ProgramFailed
from holdfast_local.postgres import cluster as files
from holdfast_local.postgres.cluster import Cluster
from holdfast_local.postgres.embedded import locate_for
from holdfast_local.postgres.identity import current_identity
from holdfast_local.postgres.programs import Programs, locate
from holdfast_local.postgres.server import Server
from holdfast_local.postgres.starting import await_ready, describe, find_port, pid_of, prepare, status_of

STATE = "server.json"


def start_detached(
    directory: Path,
    *,
    major: int = 18,
    port: int | None = None,
    host: str = "127.0.0.1",
    settings: Mapping[str, str | int | bool] | None = None,
    tls: bool = False,
    superuser: str = "postgres",
    password: str | None = None,
) -> Server:
    """Start a server that outlives us, or return the one that already runs in *directory*."""
    running = status(directory)
    if running is not None:
        return running
    programs = locate_for(major, tls=tls)
    cluster, login = prepare(directory, programs, superuser=superuser, password=password)

    def attempt(port: int) -> bool:
        files.configure(cluster, host=host, port=port, tls=tls, settings=settings or {})
        offset = cluster.log.stat().st_size
        options = f"--config-file={shlex.quote(str(cluster.configuration))}"
        started = _pg_ctl(programs, cluster, "start", "-W", "-l", str(cluster.log), "-o", options)
        return started and await_ready(cluster, major, offset, lambda: _may_become_ready(cluster, offset))

    server = describe(cluster, major, login, host=host, port=find_port(port, host, attempt), tls=tls)
    files.write_private(directory / STATE, json.dumps(_state(server), indent=1))
    return server


def status(directory: Path) -> Server | None:
    """Return the server that runs in *directory*, or None."""
    path = directory / STATE
    if not path.is_file():
        return None
    state = json.loads(path.read_text())
    cluster = files.open_cluster(directory, current_identity())
    if not _is_alive(cluster) or status_of(cluster) != "ready":
        return None
    paths = {"data_directory": cluster.data, "log": cluster.log, "pid": pid_of(cluster)}
    return Server(**{**state, **paths, "authority": cluster.authority if state["authority"] else None})


def stop_detached(directory: Path, *, remove: bool = False) -> bool:
    """
    Stop the server in *directory* and wait until it is gone; return whether one was running.

    With *remove* its data and every other file go too; otherwise the next start finds the data again.
    """
    if not directory.is_dir():
        return False
    cluster = files.open_cluster(directory, current_identity())
    alive = _is_alive(cluster)
    if alive:
        programs = locate(int((cluster.data / "PG_VERSION").read_text()), current_identity())
        if not _pg_ctl(programs, cluster, "stop", "-w", "-m", "fast"):
            raise ProgramFailed(f"The server in {directory} did not stop.", hint=f"Look into {cluster.log}.")
    (directory / STATE).unlink(missing_ok=True)
    if remove:
        cluster.remove()
    return alive


def _state(server: Server) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Path) else value for key, value in vars(server).items()}


def _is_alive(cluster: Cluster) -> bool:
    """Tell whether the process in the lock file is this cluster's server (ids are reused: its directory tells)."""
    pid = pid_of(cluster)
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == cluster.data.resolve()
    except OSError:  # no such process, one that has ended but is not reaped yet, or somebody else's
        return False


def _may_become_ready(cluster: Cluster, offset: int) -> bool:
    """Tell whether a server that was just launched still starts: it has its lock file or has not yet said anything."""
    return _is_alive(cluster) or cluster.log.stat().st_size == offset


def _pg_ctl(programs: Programs, cluster: Cluster, action: str, *options: str) -> bool:
    done = subprocess.run(
        [programs.path("pg_ctl"), action, "-D", cluster.data, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        cwd=cluster.data,
        env=files.ENVIRONMENT,
        start_new_session=True,
        **cluster.owner.popen_arguments(),
    )
    return done.returncode == 0
