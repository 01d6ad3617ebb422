"""
Measure the row digest: MB/s on one core by row width, then with threads, beside SHA-256 and BLAKE2b of the same bytes.

    python bench/row_digest.py [--megabytes 64] [--rounds 5] [--threads 2]

The fastest round counts. Rows vary by 30 per cent about the width named, as rows of text do; "mixed" has one row of
30 kB among a thousand narrow ones. Blocks are 1 MiB, as psql's pipe is read.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from holdfast.archive.digest import KEY_BYTES, RowDigest, TableDigest

BLOCK = 1 << 20
WIDTHS = {
    "narrow, 20 B": 20,
    "middling, 120 B": 120,
    "broad, 450 B": 450,
    "just long, 600 B": 600,
    "wide, 10 kB": 10_000,
}
DIGITS = b"0123456789abcdefghijklmnopqrstuv"


def copy_text(size: int, widths: Callable[[random.Random], int]) -> bytes:
    """Make about *size* bytes of random rows whose lengths *widths* draws."""
    draw = random.Random(1)
    rows, made = [], 0
    while made < size:
        width = widths(draw)
        rows.append(draw.randbytes(width).translate(bytes(DIGITS[byte % 32] for byte in range(256))))
        made += width + 1
    return b"\n".join(rows) + b"\n"


def around(width: int) -> Callable[[random.Random], int]:
    """Draw lengths within 30 per cent of *width*."""
    return lambda draw: draw.randint(int(0.7 * width), int(1.3 * width))


def mixed(draw: random.Random) -> int:
    """Draw a row of 30 kB once in a thousand, else one of 10 to 90 bytes."""
    return 30_000 if draw.random() < 0.001 else draw.randint(10, 90)


def digest(text: bytes) -> TableDigest:
    """Digest *text* in blocks."""
    accumulator = RowDigest(bytes(KEY_BYTES))
    view = memoryview(text)
    for start in range(0, len(text), BLOCK):
        accumulator.update(view[start : start + BLOCK])
    return accumulator.finish()


def digest_on(pool: ThreadPoolExecutor, texts: list[bytes]) -> list[TableDigest]:
    """Digest *texts*, each on a thread of its own."""
    return list(pool.map(digest, texts))


def megabytes_per_second(work: Callable[[], object], size: int, rounds: int) -> float:
    """Time the fastest of *rounds* calls."""
    fastest = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - begun)
    return size / 1e6 / fastest


def main() -> None:
    """Print one line per kind of row."""
    options = argparse.ArgumentParser(description="Measure the row digest.")
    options.add_argument("--megabytes", type=int, default=64)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    kinds = {name: around(width) for name, width in WIDTHS.items()} | {"mixed": mixed}
    print(f"{'rows':18} {'digest':>8} {f'{chosen.threads} threads':>10} {'sha256':>8} {'blake2b':>8}   MB/s")
    with ThreadPoolExecutor(chosen.threads) as pool:
        for name, widths in kinds.items():
            text = copy_text(chosen.megabytes * 1_000_000, widths)
            works = (
                (partial(digest, text), 1),
                (partial(digest_on, pool, [text] * chosen.threads), chosen.threads),
                (partial(hashlib.sha256, text), 1),
                (partial(hashlib.blake2b, text), 1),
            )
            measured = [megabytes_per_second(work, len(text) * times, chosen.rounds) for work, times in works]
            print(f"{name:18} {measured[0]:8.0f} {measured[1]:10.0f} {measured[2]:8.0f} {measured[3]:8.0f}")


if __name__ == "__main__":
    main()
