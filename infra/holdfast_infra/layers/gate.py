"""
Refuse a layer that would not load on Lambda.

Only files are looked at, nothing is run, so that any machine can judge any target.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import UnexpectedState
from holdfast_infra.layers.elf import Binary, binaries
from holdfast_infra.layers.targets import Target
from holdfast_infra.layers.tree import size

NEWEST_GLIBC = (2, 34)  # of Amazon Linux 2023
LARGEST_BYTES = 250 * 1000 * 1000  # unpacked, all layers and the function together: Lambda's quota
# What the Python runtime on Amazon Linux 2023 brings, and manylinux (PEP 600) lets wheels rely on.
SYSTEM_LIBRARIES = frozenset({
    *("ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"),
    *("libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0"),
    *("libresolv.so.2", "librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1"),
})  # fmt: skip
PROGRAM_RPATH = "$ORIGIN/../lib"
LIBRARY_RPATH = "$ORIGIN"


def faults(layer: Path, target: Target) -> list[str]:
    """List, in sentences, why *layer* would not load on *target*."""
    found = list(binaries(layer))
    inside = {binary.path.name for binary in found}
    return [
        f"{binary.path.relative_to(layer)} {fault}" for binary in found for fault in _faults_of(binary, target, inside)
    ]


def _faults_of(binary: Binary, target: Target, inside: Iterable[str]) -> list[str]:
    known = {*SYSTEM_LIBRARIES, *inside}
    found = [f"needs {name}, which nobody brings." for name in binary.needed if name not in known]
    if binary.machine != target.machine:
        found.append(f"is built for {binary.machine}.")
    if binary.glibc > NEWEST_GLIBC:
        found.append(f"needs glibc {'.'.join(map(str, binary.glibc))}.")
    return found


def search_path_faults(pgclient: Path) -> list[str]:
    """
    List programs and libraries of *pgclient* that could pick up a foreign libpq.

    Only DT_RPATH wins over LD_LIBRARY_PATH, which Lambda sets; DT_RUNPATH does not.
    """
    found = []
    for binary in binaries(pgclient):
        wanted = PROGRAM_RPATH if binary.path.parent.name == "bin" else LIBRARY_RPATH
        if binary.rpath != wanted or binary.runpath is not None:
            found.append(f"{binary.path.relative_to(pgclient)} has not exactly the RPATH {wanted}.")
    return found


def require_none(faults_found: list[str], layer: str, target: Target) -> None:
    """Raise `UnexpectedState` with every fault, if there is one."""
    if faults_found:
        raise UnexpectedState(
            f"The layer {layer} would not load on {target.name}: {' '.join(faults_found)}",
            hint="A package has changed: go back to the former lock, or extend the layer.",
        )


def require_room(layers: Iterable[Path]) -> None:
    """Raise `UnexpectedState` if the layers together break Lambda's quota."""
    total = sum(size(layer) for layer in layers)
    if total > LARGEST_BYTES:
        raise UnexpectedState(
            f"The layers hold {total // 1_000_000} MB together; Lambda takes {LARGEST_BYTES // 1_000_000} MB.",
            hint="Prune more of the dependencies.",
        )
