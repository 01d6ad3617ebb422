"""Unpack locked wheels for a platform that need not be ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from uv import find_uv_bin

from holdfast.errors import ProgramFailed
from holdfast_infra.layers.targets import Target


def unpack(lock: Path, target: Target, into: Path) -> None:
    """
    Install what *lock* lists into the directory *into*.

    Only wheels whose hashes the lock knows, never a source distribution: no code of a package runs. Files
    are copied, since links into uv's cache would carry our later changes back into it.
    """
    command: list[str | Path] = [
        *(find_uv_bin(), "pip", "install", "--quiet", "--no-deps"),
        *("--require-hashes", "--only-binary", ":all:", "--link-mode", "copy"),
        *("--python", sys.executable, "--python-version", target.python, "--python-platform", target.wheels),
        *("--target", into, "--requirements", lock),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProgramFailed(
            f"uv could not unpack {lock.parent.name}/{lock.name} for {target.name}: {done.stderr.strip()[-600:]}",
            hint="Check the network and that every locked version offers a wheel for this platform.",
        )
