"""Copy a running server's files, so that another one can follow it as its standby."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from holdfast.errors import ProgramFailed
from holdfast_local.postgres import cluster as files
from holdfast_local.postgres.identity import current_identity
from holdfast_local.postgres.programs import locate
from holdfast_local.postgres.server import Server


def copy_for_standby(primary: Server, directory: Path) -> None:
    """
    Fill *directory* with a copy of *primary* that, started by `EmbeddedPostgres`, follows it for ever.

    Majors 18 and 17 only: the package of 15 has no pg_basebackup. Raises `ProgramFailed`.
    """
    owner = current_identity()
    cluster = files.open_cluster(directory, owner)
    shutil.rmtree(cluster.data, ignore_errors=True)
    cluster.data.mkdir()
    owner.own(cluster.data, mode=0o700)
    programs = locate(primary.major, owner)
    done = subprocess.run(
        [
            programs.path("pg_basebackup"),
            f"--pgdata={cluster.data}",
            f"--dbname={primary.url()}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "--wal-method=stream",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=cluster.data,
        env={**files.ENVIRONMENT, "HOME": str(cluster.home)},
        **owner.popen_arguments(),
    )
    if done.returncode != 0:
        raise ProgramFailed(f"pg_basebackup of PostgreSQL {primary.major} failed: {done.stderr.strip()[-400:]}")
    files.write_private(cluster.directory / "password", primary.password)
