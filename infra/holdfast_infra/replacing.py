"""Put a directory into the place of another as a whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """
    Yield an empty directory that takes the place of *output* when the block ends well.

    CDK copies a function's or a layer's files once and takes the copy for whole whenever its directory is there:
    what an interrupted run had copied would be deployed by every later one.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        fresh = Path(scratch, "fresh")
        fresh.mkdir()
        yield fresh
        if output.exists():
            output.rename(Path(scratch, "former"))
        fresh.rename(output)
