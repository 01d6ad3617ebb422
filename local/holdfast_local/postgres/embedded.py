"""
Run a real PostgreSQL server for as long as a `with` block, a test session or a process lasts.

    with EmbeddedPostgres(17, tmp_path / "source", tls=True) as server:
        psycopg.connect(server.url())

The server listens on TCP only, with passwords (scram-sha-256), so that a wrong password is refused as it
would be anywhere. It ends with the process that started it, however that ends (see `guard`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from holdfast.errors import BadRequest
from holdfast_local.postgres import cluster as files
from holdfast_local.postgres import guard
from holdfast_local.postgres.cluster import Cluster
from holdfast_local.postgres.identity import current_identity
from holdfast_local.postgres.programs import Programs, locate
from holdfast_local.postgres.server import Server
from holdfast_local.postgres.starting import await_ready, describe, find_port, prepare

STOP_SECONDS = 40


class EmbeddedPostgres:
    """
    One server of *major* (18, 17 or 15), its files below *directory*.

    Without *port* a free one is chosen; without *password*, a random one. *settings* are added to
    `cluster.DEFAULTS`. With *tls* only TLS connections are accepted; PostgreSQL 18's package has none.
    The files are removed at the end of the `with` block unless *keep* is true; `stop` leaves them.
    As root the programs run as nobody.
    """

    def __init__(
        self,
        major: int = 18,
        directory: Path = Path("postgres"),
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        settings: Mapping[str, str | int | bool] | None = None,
        tls: bool = False,
        superuser: str = "postgres",
        password: str | None = None,
        keep: bool = False,
    ) -> None:
        self._programs = locate_for(major, tls=tls)
        self._directory, self._port, self._host = directory, port, host
        self._settings, self._tls = dict(settings or {}), tls
        self._superuser, self._password, self._keep = superuser, password, keep
        self._cluster: Cluster | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Start the server and return it once it accepts connections (about 1 s the first time, 0.2 s later)."""
        if self._guard is not None:
            raise BadRequest(f"The server in {self._directory} has been started already.")
        cluster, login = prepare(self._directory, self._programs, superuser=self._superuser, password=self._password)
        self._cluster = cluster
        port = find_port(self._port, self._host, lambda port: self._attempt(cluster, port))
        return describe(cluster, self._programs.major, login, host=self._host, port=port, tls=self._tls)

    def _attempt(self, cluster: Cluster, port: int) -> bool:
        files.configure(cluster, host=self._host, port=port, tls=self._tls, settings=self._settings)
        offset = cluster.log.stat().st_size
        remove = cluster.relocated and not self._keep
        self._guard = started = _launch_guard(cluster, self._programs, remove=remove)
        ready = False
        try:
            ready = await_ready(cluster, self._programs.major, offset, lambda: started.poll() is None)
        finally:
            if not ready:
                self.stop()
        return ready

    def stop(self) -> None:
        """Shut the server down and wait until it is gone; its files stay. Does nothing if it is not running."""
        if self._guard is None:
            return
        try:
            self._guard.communicate(guard.STOP, timeout=STOP_SECONDS)
        finally:
            self._guard = None

    def __enter__(self) -> Server:
        try:
            return self.start()
        except BaseException:
            self._clean_up()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean_up()

    def _clean_up(self) -> None:
        self.stop()
        if self._cluster is not None and not self._keep:
            self._cluster.remove()


def locate_for(major: int, *, tls: bool) -> Programs:
    """Return the programs of *major*, or raise `BadRequest` if they should speak TLS and cannot."""
    programs = locate(major, current_identity())
    if tls and not programs.tls:
        raise BadRequest(f"The package of PostgreSQL {major} has no TLS.", hint="Use 17 or 15 for TLS.")
    return programs


def _launch_guard(cluster: Cluster, programs: Programs, *, remove: bool) -> subprocess.Popen[bytes]:
    """Start the guard, which starts the server; `sys._base_executable` is the interpreter outside any venv."""
    order = {
        "command": [str(programs.path("postgres")), "-D", str(cluster.data), f"--config-file={cluster.configuration}"],
        "directory": str(cluster.data),
        "environment": files.ENVIRONMENT,
        "identity": cluster.owner.popen_arguments(),
        "log": str(cluster.log),
        "remove": [str(cluster.home)] if remove else [],
    }
    interpreter = getattr(sys, "_base_executable", None) or sys.executable
    source = Path(guard.__file__).read_text()
    return subprocess.Popen(
        [interpreter, "-I", "-S", "-c", source, json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=files.ENVIRONMENT,
        start_new_session=True,
    )
