"""
Measure what the number of tables costs: every state of a backup and a restore, by the number of small tables.

    python -m bench.tables [--tables 2000,20000] [--workers 2] [--work DIRECTORY]

Each number of tables has a server of its own: tables of three rows with a primary key, in ten schemas. The real
functions run in the order of the state machines, as in `bench.archive`. What counts is the time for each table, which
must not grow with their number, and the longest invocation, which has 900 seconds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.archive import seed
from bench.archive.measuring import Measured, Meter
from bench.archive.ours import Holdfast, Steps
from holdfast_infra.layers import build
from holdfast_local.postgres import EmbeddedPostgres, Server

MAJOR = 18
SCHEMAS = 10
TOGETHER = 500
"""Tables that are made in one transaction: each takes locks until its end."""
MAKERS = 4
LARGEST_DOCUMENTS = 6
SETTINGS: dict[str, str | int | bool] = {
    "shared_buffers": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": False,
}
_TABLE = """
CREATE TABLE tenant_{schema}.account_{n} (id bigint PRIMARY KEY, name text NOT NULL, seen_at timestamptz);
INSERT INTO tenant_{schema}.account_{n} VALUES (1, 'one of {n}', now()), (2, 'two', NULL), (3, '', '2026-01-01');
"""


def main(arguments: list[str] | None = None) -> int:
    """Print what each state took, for each number of tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.tables", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--tables", default="2000,20000", help="numbers of tables, with commas between them")
    parser.add_argument("--workers", type=int, default=2, help="functions at work at once")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"), help="where databases and archives lie")
    asked = parser.parse_args(arguments)
    for number in (int(each) for each in asked.tables.split(",")):
        measure(number, asked.work, workers=asked.workers)
    return 0


def measure(number: int, work: Path, *, workers: int) -> None:
    """Back up, verify, restore and prove a database of *number* tables, and print every state as it ends."""
    with _server(work, number) as (server, place):
        begun = time.perf_counter()
        make(server, "source", number)
        seed.checkpoint(server)
        print(f"{number} tables made in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        print("| tables | step | state | s | ms a table | longest invocation s |\n|---:|---|---|---:|---:|---:|")
        meter = Meter(tuple(sorted(os.sched_getaffinity(0))), server.pid)
        programs, url = build("host")["pgclient"] / "bin", server.url("source")
        with Holdfast(place / "holdfast", url, programs=programs, workers=workers, meter=meter) as ours:
            for step in (ours.back_up, ours.verify):
                _tell(number, *step())
            restored, proven, steps = ours.restore("restored")
            _tell(number, restored, steps)
            _tell(number, proven, Steps())
        for size, name in _documents(place / "holdfast"):
            print(f"{size / 1e6:9.1f} MB  {name}", file=sys.stderr)


def make(server: Server, database: str, number: int) -> None:
    """Create *database* with so many tables of three rows."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        for schema in range(SCHEMAS):
            connection.execute(f"CREATE SCHEMA tenant_{schema}".encode())

    def make_some(some: range) -> None:
        # A session for each: it remembers every table that it has seen.
        with psycopg.connect(server.url(database), autocommit=True) as connection:
            connection.execute("".join(_TABLE.format(schema=n % SCHEMAS, n=n) for n in some).encode())

    with ThreadPoolExecutor(MAKERS) as pool:
        every = range(number)
        list(pool.map(make_some, (every[first : first + TOGETHER] for first in range(0, number, TOGETHER))))


def _tell(number: int, measured: Measured, steps: Steps) -> None:
    for name, seconds in steps.seconds.items():
        longest = steps.longest.get(name, seconds)
        figures = f"{seconds:.1f} | {1000 * seconds / number:.2f} | {longest:.1f}"
        print(f"| {number:,} | {measured.name} | {name} | {figures} |", flush=True)
    print(
        f"{measured.name}: {measured.wall:.1f} s, client {measured.client_cpu:.1f} s and server "
        f"{measured.server_cpu:.1f} s of CPU, others {measured.others_cpu:.1f} s, peak of a worker "
        f"{measured.peak / 1e6:.0f} MB",
        file=sys.stderr,
        flush=True,
    )


def _documents(place: Path) -> list[tuple[int, str]]:
    """Return size and name of the largest documents that the run left."""
    found = [(path.stat().st_size, str(path.relative_to(place))) for path in place.rglob("*") if path.is_file()]
    return sorted((each for each in found if "/chunks/" not in each[1]), reverse=True)[:LARGEST_DOCUMENTS]


@contextmanager
def _server(work: Path, number: int) -> Iterator[tuple[Server, Path]]:
    """Give a server whose lock table has room for two holders, pg_dump and a planner."""
    place = Path(tempfile.mkdtemp(prefix="holdfast-tables-", dir=work))
    settings = {**SETTINGS, "max_locks_per_transaction": 256 + number // 15}
    try:
        with EmbeddedPostgres(MAJOR, place / "server", settings=settings) as server:
            yield server, place
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
