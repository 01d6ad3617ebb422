"""
Provide what Lambda's managed runtime contains: the runtime client, and nothing else of this environment.

Functions run with `python -S`, which hides the virtual environment, so that a package missing from the
function's own asset and layers fails here as it fails in AWS. awslambdaric and what it needs must
therefore be copied to a directory of their own.
"""

from __future__ import annotations

import shutil
from importlib.metadata import Distribution, distribution
from pathlib import Path

from holdfast_local.cloud.errors import HookBroken

DISTRIBUTIONS = ("awslambdaric", "simplejson", "snapshot-restore-py")


def provide_runtime(target: Path) -> Path:
    """Copy the runtime client's files to *target*, unless they are there, and return it."""
    marker = target / "complete"
    if marker.exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    for name in DISTRIBUTIONS:
        _copy(distribution(name), target)
    if not list(target.glob("runtime_client*")):
        raise HookBroken(
            "awslambdaric has no native client for this platform.",
            hint="Use Linux on x86_64 or arm64, for which it is published.",
        )
    marker.touch()
    return target


def _copy(package: Distribution, target: Path) -> None:
    for file in package.files or []:
        if ".dist-info" in file.parts[0] or "tests" in file.parts or "__pycache__" in file.parts or ".." in file.parts:
            continue
        destination = target.joinpath(*file.parts)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(str(file.locate()), destination)
