"""
Prepare the files of one server: data directory, configuration, password, certificates.

Everything but the data belongs to us and is only read by the server's user, so that we, possibly root,
never write into a directory that another user controls. `home` is the caller's directory or, when the
server's user cannot reach that, a directory below /var/tmp to which the caller's directory links.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import BadRequest, ProgramFailed
from holdfast_local.postgres import certificates, zones
from holdfast_local.postgres.identity import Identity, can_enter, new_public_directory
from holdfast_local.postgres.programs import Programs

ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
# For data that may be lost: no fsync. Shared memory as files in the data directory: containers give /dev/shm
# only 64 MB, and a killed server would leave segments there.
DEFAULTS: dict[str, str | int | bool] = {
    "dynamic_shared_memory_type": "mmap",
    "fsync": False,
    "full_page_writes": False,
    "lc_messages": "C",
    "log_timezone": "UTC",
    "max_connections": 60,
    "max_wal_size": "512MB",
    "password_encryption": "scram-sha-256",
    "shared_buffers": "32MB",
    "synchronous_commit": False,
    "timezone": "UTC",
    "unix_socket_directories": "",
}
MADE = ("home", "log", "postgresql.conf", "pg_hba.conf", "password", "ca.pem", "server.pem", "server.key", zones.LINK)


@dataclass(frozen=True)
class Cluster:
    """The files of one server; *owner* is the user that runs it."""

    directory: Path
    home: Path
    owner: Identity

    @property
    def data(self) -> Path:
        """Return PostgreSQL's data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """Return the file that the server writes its messages to."""
        return self.home / "log"

    @property
    def configuration(self) -> Path:
        """Return the server's only configuration file."""
        return self.home / "postgresql.conf"

    @property
    def authority(self) -> Path:
        """Return the certificate that clients trust."""
        return self.home / "ca.pem"

    @property
    def relocated(self) -> bool:
        """Tell whether the files lie outside the caller's directory."""
        return self.home != self.directory

    def remove(self) -> None:
        """Remove everything that was made here, and the caller's directory if that leaves it empty."""
        if self.relocated:
            shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(self.directory / "data", ignore_errors=True)
        names = (
            zones.LINK,
            "home",
            "log",
            "postgresql.conf",
            "pg_hba.conf",
            "password",
            "ca.pem",
            "server.pem",
            "server.key",
        )
        for name in names:
            (self.directory / name).unlink(missing_ok=True)
        if not any(self.directory.iterdir()):
            self.directory.rmdir()


def open_cluster(directory: Path, owner: Identity) -> Cluster:
    """Find or choose the place of the files that belong to *directory*; nothing is initialised yet."""
    directory = directory.absolute()
    if not directory.exists():
        directory.mkdir(parents=True)
        directory.chmod(0o711)
    link = directory / "home"
    if link.is_symlink() and not link.exists():
        link.unlink()  # its target was cleaned away; start anew
    if link.exists():
        return Cluster(directory, link.resolve(), owner)
    if can_enter(directory, owner):
        return Cluster(directory, directory, owner)
    home = new_public_directory()
    link.symlink_to(home)
    return Cluster(directory, home, owner)


def initialise(cluster: Cluster, programs: Programs, *, superuser: str, password: str | None) -> str:
    """
    Run initdb unless the data directory exists already; return the superuser's password.

    The password is *password*, or a random one, and is kept in a file that only we can read, so that a
    later start of the same directory knows it. Raises `BadRequest` if the data is of another major version.
    """
    kept = cluster.directory / "password"
    version = cluster.data / "PG_VERSION"
    if version.exists() and kept.exists():
        found = version.read_text().strip()
        if found != str(programs.major):
            raise BadRequest(f"{cluster.data} was made by PostgreSQL {found}, not {programs.major}.")
        return kept.read_text()
    chosen = password or secrets.token_urlsafe(18)
    shutil.rmtree(cluster.data, ignore_errors=True)
    cluster.data.mkdir()
    cluster.owner.own(cluster.data, mode=0o700)
    if programs.zones is not None:
        (cluster.home / zones.LINK).unlink(missing_ok=True)
        (cluster.home / zones.LINK).symlink_to(programs.zones)
    _initdb(cluster, programs, superuser, chosen)
    write_private(kept, chosen)
    return chosen


def _initdb(cluster: Cluster, programs: Programs, superuser: str, password: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=cluster.home)
    try:
        os.write(descriptor, password.encode() + b"\n")
        os.close(descriptor)
        cluster.owner.own(Path(name), mode=0o600)
        options = ["--encoding=UTF8", "--no-locale", "--auth=scram-sha-256", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            [programs.path("initdb"), "-D", cluster.data, "-U", superuser, f"--pwfile={name}", *options],
            capture_output=True,
            text=True,
            check=False,
            cwd=cluster.data,
            env=ENVIRONMENT,
            **cluster.owner.popen_arguments(),
        )
    finally:
        Path(name).unlink()
    if done.returncode != 0:
        shutil.rmtree(cluster.data, ignore_errors=True)
        raise ProgramFailed(f"initdb of PostgreSQL {programs.major} failed: {done.stderr.strip()[-400:]}")


def configure(cluster: Cluster, *, host: str, port: int, tls: bool, settings: Mapping[str, str | int | bool]) -> None:
    """Write the configuration, the log file and, for *tls*, certificates; whatever was there before is replaced."""
    rules = cluster.home / "pg_hba.conf"
    values: dict[str, str | int | bool] = {**DEFAULTS, "listen_addresses": host, "port": port, "hba_file": str(rules)}
    if tls:
        values |= {
            "ssl": True,
            "ssl_cert_file": str(cluster.home / "server.pem"),
            "ssl_key_file": str(cluster.home / "server.key"),
        }
        _certify(cluster)
    kind = "hostssl" if tls else "host"
    rules.write_text("".join(f"{kind} {name} all all scram-sha-256\n" for name in ("all", "replication")))
    cluster.configuration.write_text("".join(f"{k} = {_quoted(v)}\n" for k, v in {**values, **settings}.items()))
    cluster.log.touch()
    for path in (rules, cluster.configuration):
        path.chmod(0o644)
    cluster.owner.own(cluster.log, mode=0o644)


def _certify(cluster: Cluster) -> None:
    if cluster.authority.exists():
        return
    issued = certificates.issue()
    (cluster.home / "server.pem").write_bytes(issued.server)
    write_private(cluster.home / "server.key", issued.key.decode())
    cluster.owner.own(cluster.home / "server.key", mode=0o600)
    cluster.authority.write_bytes(issued.authority)
    for path in (cluster.home / "server.pem", cluster.authority):
        path.chmod(0o644)


def _quoted(value: str | int | bool) -> str:
    text = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"


def write_private(path: Path, text: str) -> None:
    """Write *text* to a new file that only we can read, replacing what was there."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
