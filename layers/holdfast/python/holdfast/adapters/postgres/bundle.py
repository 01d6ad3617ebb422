"""Find the bundle of certificate authorities that lies beside the client programs."""

from __future__ import annotations

import shutil
from pathlib import Path

from holdfast.errors import BadConfiguration


def certificate_bundle() -> str:
    """
    Return the path of the bundle of the layer whose psql is on PATH.

    libpq's own default, `~/.postgresql/root.crt`, does not exist in a function, and `sslrootcert=system`
    looks where the program was built. Raises `BadConfiguration` when there is none.
    """
    program = shutil.which("psql")
    for directory in _candidates(Path(program)) if program else []:
        found = sorted(directory.glob("*.pem")) if directory.is_dir() else []
        if found:
            return str(next((path for path in found if "bundle" in path.name), found[0]))
    raise BadConfiguration(
        "No certificate authorities were found beside psql to check the server's certificate with.",
        hint="Name them with sslrootcert in the database's secret, or rebuild the layers.",
    )


def _candidates(program: Path) -> list[Path]:
    """Return where the bundle may lie: the layer's `bin` may hold the program itself or a link to it."""
    homes = [program.parent.parent, *program.resolve().parents[1:3]]
    return [home / place for home in homes for place in ("pgclient/certs", "certs")]
