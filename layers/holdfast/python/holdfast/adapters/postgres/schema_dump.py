"""Dump everything but rows: the schema with its sequences' values, and the roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from holdfast.adapters.postgres.connect import SOURCE_PROGRAMS
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.adapters.postgres.programs import Program, run
from holdfast.adapters.postgres.quoting import identifier
from holdfast.adapters.postgres.refusals import NO_ENCODING
from holdfast.contracts.selection import EVERYTHING, Selection
from holdfast.errors import PrivilegeMissing

_NOT_OURS = ("pg_catalog.*", "pg_toast.*", "information_schema.*", "holdfast_restore.*")
SINCE_TRANSACTION_TIMEOUT = 170_000


def text_of_dumps(encoding: str) -> str:
    """
    Return the encoding of the text in the schema dump of a database that has *encoding*: one that can be read.

    Names and texts of a database without an encoding are UTF-8 too, or its backup is refused at the start.
    """
    return NO_ENCODING if encoding == NO_ENCODING else "UTF8"


def dump_schema(
    parameters: ConnectionParameters,
    snapshot: str | None,
    *,
    encoding: str,
    selection: Selection = EVERYTHING,
    sequence_values: bool = True,
    application_name: str = "holdfast schema",
    seconds_left: Callable[[], float] | None = None,
) -> bytes:
    """
    Return a pg_dump archive of everything but rows, as of *snapshot* or now.

    Sequences' values, if wanted, are the newest. Raises `StillWorking` when *seconds_left* says that there are none.

    *encoding* is the database's; the text is UTF-8.
    `--exclude-table-data` would be a trap: it misses schemas off the search path, and drops sequences' values.
    """
    arguments = [
        "--format=custom",
        "--schema-only",
        *(["--sequence-data"] if sequence_values else []),
        "--no-password",
        "--lock-wait-timeout=30000",
        "--exclude-schema=holdfast_restore",
        *([f"--snapshot={snapshot}"] if snapshot else []),
        *_chosen(selection),
        f"--encoding={text_of_dumps(encoding)}",
    ]
    with Program(
        "pg_dump",
        arguments,
        parameters.with_settings(SOURCE_PROGRAMS),
        application_name=application_name,
        doing="dumping the schema",
    ) as program:
        return program.read_all(seconds_left)


def _chosen(selection: Selection) -> list[str]:
    """Return the selection as pg_dump's own options; partitions and children go with their parents."""
    options = {
        "schema": selection.include_schemas,
        "exclude-schema": selection.exclude_schemas,
        "table-and-children": selection.include_tables,
        "exclude-table-and-children": selection.exclude_tables,
        # Left to itself, pg_dump takes `*` for the server's own tables as well, and heeds no list of schemas then.
        "exclude-table": _NOT_OURS if selection.include_tables else (),
    }
    return [f"--{option}={pattern}" for option, patterns in options.items() for pattern in patterns]


def dump_globals(
    parameters: ConnectionParameters,
    roles: Iterable[str],
    *,
    server_version: int = 0,
    application_name: str = "holdfast roles",
) -> bytes:
    """
    Return the server's roles, memberships and tablespaces as SQL, without passwords.

    Where the provider hides some of it, the *roles* that the database needs are at least created, and the
    text says so.
    """
    arguments = ["--globals-only", "--no-role-passwords", "--no-password", f"--database={parameters.dbname}"]
    # pg_dumpall lifts no limit by itself, and a server refuses one that it does not know.
    limits = {"transaction_timeout": 0} if server_version >= SINCE_TRANSACTION_TIMEOUT else {}
    settled = parameters.with_settings({**SOURCE_PROGRAMS, **limits})
    try:
        return run("pg_dumpall", arguments, settled, application_name=application_name, doing="dumping the roles")
    except PrivilegeMissing:
        lines = ["-- The provider hides roles' attributes from the role of the backup: only their names are known."]
        lines += [f"CREATE ROLE {identifier(role)};" for role in roles]
        return ("\n".join(lines) + "\n").encode()
