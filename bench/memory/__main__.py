"""
Measure the memory that one worker needs, by the length of rows: its peak in each step of a backup and a restore.

    python -m bench.memory [--only narrow,jsonb,bytea,random] [--work DIRECTORY]

Each kind of rows has a database of its own and a fresh worker, which does everything one after the other: what it
keeps from an earlier step counts, as it does in a warm function. The resident memory of Python and all of its
children is sampled every 10 ms. Nothing here needs a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.archive import seed
from bench.archive.measuring import Meter
from bench.archive.ours import Holdfast
from holdfast_infra.layers import build
from holdfast_local.postgres import EmbeddedPostgres, Server

MAJOR = 18
MEGABYTE = 10**6
FIXED = 300 * MEGABYTE
ROWS = 5
"""The bound is `FIXED` and so many times the largest row, as COPY writes it: a byte of bytea is two characters."""
SAMPLE_SECONDS = 0.01
STEPS = ("backup", "verify", "restore", "prove")


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows to measure: *text* is about how many bytes the largest one has as COPY writes it."""

    about: str
    script: str
    text: int

    @property
    def bound(self) -> int:
        """Return the most that a worker may need."""
        return FIXED + ROWS * self.text


KINDS = {
    "narrow": Kind(
        "3,000,000 narrow rows",
        "CREATE TABLE narrow AS SELECT n, n % 97 AS class, md5(n::text) AS name FROM generate_series(1, 3000000) n",
        50,
    ),
    "jsonb": Kind(
        "12 jsonb values of 10 MB",
        """CREATE TABLE documents AS
           SELECT n, (SELECT jsonb_agg(md5((n * 300000 + k)::text)) FROM generate_series(1, 280000) k) AS document
           FROM generate_series(1, 12) n""",
        10 * MEGABYTE,
    ),
    "bytea": Kind(
        "3 bytea values of 200 MB that repeat themselves",
        """CREATE TABLE files AS
           SELECT n, decode(repeat(md5(n::text), 200000000 / 16), 'hex') AS content FROM generate_series(1, 3) n""",
        400 * MEGABYTE,
    ),
    "random": Kind(
        "3 bytea values of 200 MB that cannot be compressed",
        """CREATE TABLE files AS
           SELECT n, (SELECT string_agg(sha512((n * 10000000 + k)::text::bytea), '')
                      FROM generate_series(1, 200000000 / 64) k) AS content
           FROM generate_series(1, 3) n""",
        400 * MEGABYTE,
    ),
}


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each kind; 1 when a worker needed more than its bound."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--only", default=",".join(KINDS), help="kinds of rows, with commas between them")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp"), help="where databases and archives lie")
    asked = parser.parse_args(arguments)
    print(f"| rows | {' | '.join(STEPS)} | bound |\n|---|{'---:|' * (len(STEPS) + 1)}", flush=True)
    beyond = False
    for name in asked.only.split(","):
        kind = KINDS[name]
        peaks = measure(kind, asked.work)
        beyond |= max(peaks.values()) > kind.bound
        figures = " | ".join(f"{peaks[step] // MEGABYTE:,} MB" for step in STEPS)
        print(f"| {kind.about} | {figures} | {kind.bound // MEGABYTE:,} MB |", flush=True)
    return int(beyond)


def measure(kind: Kind, work: Path) -> dict[str, int]:
    """Return the worker's peak in each step, in bytes."""
    with _server(work) as (server, place):
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE source")
        with psycopg.connect(server.url("source"), autocommit=True) as connection:
            connection.execute(kind.script.encode())
        seed.checkpoint(server)
        meter = Meter(tuple(sorted(os.sched_getaffinity(0))), server.pid, sample_seconds=SAMPLE_SECONDS)
        programs = build("host")["pgclient"] / "bin"
        with Holdfast(place / "holdfast", server.url("source"), programs=programs, workers=1, meter=meter) as ours:
            backup, verified = ours.back_up()[0], ours.verify()[0]
            restored, proven, _ = ours.restore("restored")
    # The holder has a worker of its own.
    return {each.name: each.peaks["worker 1"] for each in (backup, verified, restored, proven)}


@contextmanager
def _server(work: Path) -> Iterator[tuple[Server, Path]]:
    place = Path(tempfile.mkdtemp(prefix="holdfast-memory-", dir=work))
    try:
        with EmbeddedPostgres(MAJOR, place / "server", settings={"autovacuum": False}) as server:
            yield server, place
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
