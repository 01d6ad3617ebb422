"""
A real server whose WAL is archived as it is written, so that each of its moments can run again beside it.

This is what a provider's point-in-time recovery rests on. It differs in scale only: WAL is archived when a
segment is full or somebody asks for a moment, so there is no lag of some minutes unless a caller adds one.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import scalar_row

from holdfast.errors import ProgramFailed
from holdfast_local.history.copies import Copy, Moment, lay_out, newest_reaching
from holdfast_local.postgres import EmbeddedPostgres, Server, locate
from holdfast_local.postgres.cluster import ENVIRONMENT, open_cluster
from holdfast_local.postgres.identity import current_identity

ARCHIVING_SECONDS = 30
_POLL_SECONDS = 0.02


class RecordedServer:
    """
    One server in *directory* with its history; leaving the `with` block stops the server and removes both.

    *major* must be one whose package has `pg_basebackup` (17 and 18). The history begins when `start` first
    returns; a server that was stopped goes on with it, on another *port* when it is given one.
    """

    def __init__(
        self,
        directory: Path,
        *,
        major: int = 18,
        port: int | None = None,
        tls: bool = False,
        password: str | None = None,
        settings: Mapping[str, str | int | bool] | None = None,
    ) -> None:
        self.directory, self._major, self._password, self._tls = directory, major, password, tls
        self._owner = current_identity()
        home = open_cluster(directory, self._owner).home
        self.archive = home / "wal"
        self._copies_at = home / "copies"
        kept = self.archive / "%f"
        self._settings: dict[str, str | int | bool] = {
            "wal_level": "replica",
            "archive_mode": True,
            "archive_command": f'test -f "{kept}" || {{ cp "%p" "{kept}.part" && mv "{kept}.part" "{kept}"; }}',
            "full_page_writes": True,
            **(settings or {}),
        }
        self._postgres = self._on(port)
        self.copies: list[Copy] = []
        self._server: Server | None = None

    def _on(self, port: int | None) -> EmbeddedPostgres:
        return EmbeddedPostgres(
            self._major,
            self.directory,
            port=port,
            tls=self._tls,
            password=self._password,
            settings=self._settings,
            keep=True,
        )

    def start(self, *, port: int | None = None) -> Server:
        """Start the server; the first time, take the copy that its history begins with."""
        for place in (self.archive, self._copies_at):
            place.mkdir(parents=True, exist_ok=True)
            self._owner.own(place, mode=0o700)
        if port is not None:
            self._postgres = self._on(port)
        self._server = self._postgres.start()
        if not self.copies:
            self.copy()
        return self._server

    @property
    def running(self) -> bool:
        """Tell whether the server runs."""
        return self._server is not None

    @property
    def server(self) -> Server:
        """Return the running server."""
        if self._server is None:
            raise ProgramFailed("The recorded server does not run.")
        return self._server

    def session(self) -> AbstractContextManager[psycopg.Connection[tuple[Any, ...]]]:
        """Return a session of the superuser's with the running server."""
        return psycopg.connect(self.server.url(), autocommit=True)

    def stop(self) -> None:
        """Stop the server; its history, up to this moment, stays and can still be restored from."""
        if self._server is not None:
            self._archive_all()
            self._postgres.stop()
            self._server = None

    def copy(self) -> Copy:
        """Take a physical copy of the running server, from which later moments are reached sooner."""
        place = self._copies_at / f"{len(self.copies):06d}"
        server = self.server
        done = subprocess.run(
            [
                *(locate(self._major, self._owner).path("pg_basebackup"), "-D", place, "-d", server.url("")),
                *("--checkpoint=fast", "--no-sync", "--wal-method=stream", "--no-manifest"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._copies_at,
            env={**ENVIRONMENT, "PGPASSWORD": server.password},
            **self._owner.popen_arguments(),
        )
        if done.returncode != 0:
            raise ProgramFailed(f"pg_basebackup failed: {done.stderr.strip()[-400:]}")
        with self._connect() as session:
            lsn = session.execute("SELECT pg_catalog.pg_current_wal_lsn()::text").fetchone()
        copy = Copy(place, datetime.now(UTC), str(lsn))
        self.copies.append(copy)
        return copy

    def restore(self, directory: Path, moment: Moment, *, port: int | None = None) -> RecordedServer:
        """
        Lay the server of *moment* out in *directory* and return it, with a history of its own, not started yet.

        Raises `BadRequest` for a moment before the history; one after its last commit is that commit's.
        """
        if self._server is not None:
            self._archive_all()
        settings = lay_out(
            newest_reaching(self.copies, moment),
            self.archive,
            directory,
            self._owner,
            password=self._kept_password(),
            moment=moment,
        )
        return RecordedServer(directory, major=self._major, port=port, tls=self._tls, settings=settings)

    def __enter__(self) -> Server:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Stop the server and remove it with its history."""
        self._postgres.stop()
        self._server = None
        for place in (self.archive, self._copies_at):
            shutil.rmtree(place, ignore_errors=True)
        open_cluster(self.directory, self._owner).remove()

    def _kept_password(self) -> str:
        return (open_cluster(self.directory, self._owner).directory / "password").read_text()

    def _connect(self) -> psycopg.Connection[str]:
        return psycopg.connect(self.server.url(), autocommit=True, row_factory=scalar_row)

    def _archive_all(self) -> None:
        """
        Have everything archived that was committed until now.

        A transaction of our own comes last: replay to a time ends at the first commit after it, and fails
        when there is none.
        """
        with self._connect() as session:
            session.execute("SELECT pg_catalog.pg_current_xact_id()")
            wanted = session.execute("SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_switch_wal())").fetchone()
            deadline = time.monotonic() + ARCHIVING_SECONDS
            while not (self.archive / str(wanted)).exists():
                if time.monotonic() > deadline:
                    raise ProgramFailed(f"The server did not archive {wanted} within {ARCHIVING_SECONDS} s.")
                time.sleep(_POLL_SECONDS)
