"""A worker's memory is bounded by its largest row, whatever it does: measured around the real functions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEASURE = """
import sys
from pathlib import Path
from bench.memory.__main__ import MEGABYTE, Kind, measure

kind = Kind("64 MB of narrow rows, and one value of 20 MB that cannot be compressed", '''
    CREATE TABLE narrow AS SELECT n, repeat('x', 100) AS filling FROM generate_series(1, 600000) n;
    CREATE TABLE files AS SELECT string_agg(sha512(k::text::bytea), '') AS content FROM generate_series(1, 312500) k
''', 40 * MEGABYTE)
peaks = measure(kind, Path(sys.argv[1]))
assert set(peaks) == {"backup", "verify", "restore", "prove"}, peaks
print(max(peaks.values()), kind.bound, peaks)
"""


def test_no_step_needs_more_than_the_bound(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)],
        cwd=ROOT,
        # The machine's own certificates and index of packages, for layers that are not built yet.
        env={**os.environ, "PATH": "/usr/bin:/bin", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    peak, bound, *_ = done.stdout.split()
    assert 100_000_000 < int(peak) < int(bound), done.stdout
