"""
Compare Holdfast with pg_dump and pg_restore on one database, in one run, on two cores.

    python -m bench.archive [--size-mb 1000] [--rounds 2] [--workers 2] [--cores 0,1] [--results FILE]

In every round both sides copy the same database of one embedded PostgreSQL 17 and restore it into a new one;
which side begins changes from round to round. The better round of each step counts for either side, and the
worst peak of memory.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.archive import machine, seed
from bench.archive.measuring import Meter
from bench.archive.ours import Holdfast
from bench.archive.peer import Peer
from bench.archive.report import Report, Side
from holdfast.model.points import RecoveryPoint
from holdfast_infra.layers import build
from holdfast_local.postgres import EmbeddedPostgres, Programs, Server, locate

MAJOR = 17
SOURCE = "source"
RESULTS = Path(__file__).parents[1] / "results" / "archive.json"
# Both sides get a server that is large enough for its database, and that does nothing of its own meanwhile.
SETTINGS: dict[str, str | int | bool] = {
    "shared_buffers": "256MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": False,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison, print the table and write the document; 0 whatever the figures are."""
    asked = _parse(arguments)
    cores = _cores(asked.cores)
    programs = build("host")["pgclient"] / "bin"
    machine.pin(cores)
    place = Path(tempfile.mkdtemp(prefix="holdfast-bench-", dir=asked.work))
    try:
        with EmbeddedPostgres(MAJOR, place / "server", settings=SETTINGS) as server:
            report = Run(server, place, programs, cores, asked).report()
    finally:
        shutil.rmtree(place, ignore_errors=True)
    report.write(asked.results)
    print(report.table())
    print(f"\nwritten to {asked.results}")
    return 0


class Run:
    """One server, one database, some rounds."""

    def __init__(
        self, server: Server, place: Path, programs: Path, cores: tuple[int, ...], asked: argparse.Namespace
    ) -> None:
        self._server, self._place, self._programs, self._cores, self._asked = server, place, programs, cores, asked
        self._meter = Meter(cores, server.pid)
        self._peers = locate(MAJOR)
        self._peer, self._ours = Side({}, {}, 0), Side({}, {}, 0)
        self._point: RecoveryPoint | None = None
        self._cold = 0.0

    def report(self) -> Report:
        """Seed, run the rounds, and return what was found."""
        started = datetime.now(UTC)
        _say(f"making a database of about {self._asked.size_mb} MB")
        size = seed.create(self._server, SOURCE, megabytes=self._asked.size_mb)
        for number in range(self._asked.rounds):
            sides = [self._round_of_peer, self._round_of_ours]
            for side in sides if number % 2 == 0 else reversed(sides):
                side(number)
        assert self._point is not None
        return Report(
            command=f"python -m bench.archive {shlex.join(sys.argv[1:])}".strip(),
            started_at=f"{started:%Y-%m-%d %H:%M} UTC",
            machine=machine.describe(self._cores),
            versions=_versions(self._peers, self._programs),
            rounds=self._asked.rounds,
            workers=self._asked.workers,
            database=size,
            text=self._point.bytes_plain,
            rows=self._point.rows,
            tables=self._point.tables,
            peer=self._peer,
            holdfast=self._ours,
            cold_seconds=self._cold,
        )

    def _round_of_peer(self, number: int) -> None:
        _say(f"round {number + 1}: pg_dump and pg_restore")
        peer = Peer(self._server, self._peers, self._place, self._meter)
        measured, self._peer.stored = peer.back_up(SOURCE)
        self._peer.keep_better(measured)
        self._settle()
        self._peer.keep_better(peer.restore("restored_by_peer"))
        seed.drop(self._server, "restored_by_peer")
        peer.clean_up()
        self._settle()

    def _round_of_ours(self, number: int) -> None:
        _say(f"round {number + 1}: Holdfast")
        root = self._place / f"holdfast-{number}"
        options = {"programs": self._programs, "workers": self._asked.workers, "meter": self._meter}
        with Holdfast(root, self._server.url(SOURCE), **options) as ours:
            for step in (ours.back_up, ours.verify):
                self._ours.keep_better(*step())
                self._settle()
            self._ours.stored = ours.stored
            restored, proven, steps = ours.restore("restored_by_holdfast")
            self._ours.keep_better(restored, steps)
            self._ours.keep_better(proven)
            self._point, self._cold = ours.point, ours.cold_seconds
        seed.drop(self._server, "restored_by_holdfast")
        shutil.rmtree(root)
        self._settle()

    def _settle(self) -> None:
        """Let nothing of one step be written during the next."""
        seed.checkpoint(self._server)
        os.sync()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.archive", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--size-mb", type=int, default=1000, help="size of the database on the server")
    parser.add_argument("--rounds", type=int, default=2, help="the better one counts for each side")
    parser.add_argument("--workers", type=int, default=2, help="functions at work at once")
    parser.add_argument("--cores", default="0,1", help="what everything runs on, the server included")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"), help="where databases and archives lie")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file to write")
    return parser.parse_args(arguments)


def _cores(text: str) -> tuple[int, ...]:
    """Return the cores that were asked for, as far as this process may use them; else the first two that it may."""
    allowed = os.sched_getaffinity(0)
    asked = tuple(sorted({int(core) for core in text.split(",")} & allowed))
    return asked or tuple(sorted(allowed)[:2])


def _versions(peers: Programs, ours: Path) -> dict[str, str]:
    programs = {"pg_dump": peers.path("pg_dump"), "server": peers.path("postgres"), "Holdfast's psql": ours / "psql"}
    found = {}
    for name, path in programs.items():
        said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, env={"LC_ALL": "C"})
        found[name] = said.stdout.split()[2]
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
