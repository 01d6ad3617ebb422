"""Read from ELF files what decides whether they load: libraries needed, search path, versions of glibc."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from holdfast_infra.layers.tree import entries

MAGIC = b"\x7fELF"


@dataclass(frozen=True)
class Binary:
    """One ELF file: *rpath* is the old tag that wins over LD_LIBRARY_PATH, *runpath* the new one that does not."""

    path: Path
    machine: str
    needed: tuple[str, ...]
    rpath: str | None
    runpath: str | None
    glibc: tuple[int, ...]


def binaries(root: Path) -> Iterator[Binary]:
    """Yield every program and shared library below *root*, links left out."""
    for path in entries(root):
        if path.is_file() and not path.is_symlink() and _is_elf(path):
            yield read(path)


def read(path: Path) -> Binary:
    """Read one ELF file."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        tags: list[tuple[str, Any]] = [
            (tag.entry.d_tag, tag)
            for section in elf.iter_sections()
            if isinstance(section, DynamicSection)
            for tag in section.iter_tags()
        ]
        return Binary(
            path=path,
            machine={"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}.get(elf["e_machine"], elf["e_machine"]),
            needed=tuple(tag.needed for name, tag in tags if name == "DT_NEEDED"),
            rpath=next((tag.rpath for name, tag in tags if name == "DT_RPATH"), None),
            runpath=next((tag.runpath for name, tag in tags if name == "DT_RUNPATH"), None),
            glibc=max(_glibc_versions(elf), default=()),
        )


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _glibc_versions(elf: ELFFile) -> Iterator[tuple[int, ...]]:
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _library, versions in section.iter_versions():
                for version in versions:
                    family, _, number = version.name.partition("_")
                    if family == "GLIBC" and number[:1].isdigit():
                        yield tuple(int(part) for part in number.split("."))
