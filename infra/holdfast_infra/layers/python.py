"""Build the two layers of Python code: `holdfast` (ours) and `dependencies` (others')."""

from __future__ import annotations

import shutil
from pathlib import Path

from holdfast_infra.layers.targets import SOURCES, Target
from holdfast_infra.layers.tree import copy_tree
from holdfast_infra.layers.wheels import unpack

LOCK = SOURCES / "dependencies" / "requirements.txt"
OURS = SOURCES / "holdfast" / "python"
# What an installer writes for itself. METADATA and licences stay: libraries ask for versions at run time.
INSTALLER_FILES = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")
# Never imported: tests (but numpy.testing imports one module of numpy/_core/tests), type stubs, C headers.
UNUSED = ("*.pyi", "*.pxd", "*.h", "*.a", "*.lib", "*.npz")
KEPT_TESTS = ("numpy/_core/tests/_natype.py",)


def build_holdfast(_target: Target, into: Path) -> None:
    """Copy our own code."""
    copy_tree(OURS, into / "python")


def build_dependencies(target: Target, into: Path) -> None:
    """Unpack the locked dependencies and drop what never runs on Lambda."""
    python = into / "python"
    unpack(LOCK, target, python)
    shutil.rmtree(python / "bin", ignore_errors=True)  # scripts that name the interpreter of this machine
    prune(python)


def prune(python: Path) -> None:
    """Remove installers' files, tests, stubs and headers below *python*."""
    kept = {python / name for name in KEPT_TESTS}
    for info in python.glob("*.dist-info"):
        for name in INSTALLER_FILES:
            (info / name).unlink(missing_ok=True)
    for tests in [path for path in python.rglob("tests") if path.is_dir()]:
        for path in tests.rglob("*"):
            if path.is_file() and path not in kept:
                path.unlink()
    for pattern in UNUSED:
        for path in python.rglob(pattern):
            path.unlink()
    (python / ".lock").unlink(missing_ok=True)
    _remove_empty_directories(python)


def _remove_empty_directories(root: Path) -> None:
    for path in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()
