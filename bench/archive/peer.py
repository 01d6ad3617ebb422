"""The peer: pg_dump -Fd -j2 --compress=zstd:1 and pg_restore -j2, of the server's own release."""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path

from bench.archive.measuring import Measured, Meter
from holdfast_local.postgres import Programs, Server

# The server's own files are never synced either.
DUMP = ("-Fd", "-j2", "--compress=zstd:1", "--no-sync")
RESTORE = ("-Fd", "-j2", "--exit-on-error")


class Peer:
    """Runs the peer's programs against *server*, with files below *directory*."""

    def __init__(self, server: Server, programs: Programs, directory: Path, meter: Meter) -> None:
        self._server, self._programs, self._meter = server, programs, meter
        self._dump = directory / "dump"

    def back_up(self, database: str) -> tuple[Measured, int]:
        """Dump *database*; returns what it took and the bytes that it stored."""
        shutil.rmtree(self._dump, ignore_errors=True)
        arguments = [*DUMP, "-f", str(self._dump), self._server.url(database)]
        measured = self._run("backup", [("pg_dump", arguments)])
        return measured, sum(path.stat().st_size for path in self._dump.iterdir())

    def restore(self, into: str) -> Measured:
        """Restore the last dump into a new database."""
        to = self._server.url(into)
        maintenance = self._server.url("postgres")
        create = ["--maintenance-db", maintenance, "-T", "template0", into]
        return self._run("restore", [("createdb", create), ("pg_restore", [*RESTORE, "-d", to, str(self._dump)])])

    def clean_up(self) -> None:
        """Remove the dump."""
        shutil.rmtree(self._dump, ignore_errors=True)

    def _run(self, name: str, programs: list[tuple[str, list[str]]]) -> Measured:
        running: dict[str, int] = {}
        before = _children_cpu()
        with self._meter.step(name, lambda: dict(running)) as measured:
            for program, arguments in programs:
                self._finish(program, arguments, running)
            # They have ended: what they took is known to the kernel, and no longer to the meter.
            measured.client_cpu = _children_cpu() - before
        return measured

    def _finish(self, program: str, arguments: list[str], running: dict[str, int]) -> None:
        path = self._programs.path(program)
        with subprocess.Popen(
            [path, *arguments], env={"LC_ALL": "C", "HOME": "/tmp"}, stdin=subprocess.DEVNULL, cwd="/"
        ) as process:
            running[program] = process.pid
            status = process.wait()
            del running[program]
        if status != 0:
            raise SystemExit(f"{program} exited with status {status}.")


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
