"""Dump everything but rows: the schema with its sequences' values, and the roles."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable

from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.adapters.postgres.programs import Program, run
from holdfast.adapters.postgres.quoting import identifier
from holdfast.contracts.manifest import Sequence
from holdfast.errors import PrivilegeMissing, UnexpectedState

_NAME = r'"(?:[^"]|"")*"|[^".]+'
_SETVAL = re.compile(
    r"^SELECT pg_catalog\.setval\('(?P<name>(?:[^']|'')*)', (?P<value>-?\d+), (?P<called>true|false)\);$"
)
_QUALIFIED = re.compile(rf"(?P<schema>{_NAME})\.(?P<name>{_NAME})")


def dump_schema(parameters: ConnectionParameters, snapshot: str) -> bytes:
    """
    Return a pg_dump archive of everything but rows, as of *snapshot*; sequences' values are the newest.

    `--exclude-table-data` would be a trap: it misses schemas off the search path, and drops sequences' values.
    """
    arguments = [
        "--format=custom",
        "--schema-only",
        "--sequence-data",
        "--no-password",
        "--lock-wait-timeout=30000",
        "--exclude-schema=holdfast_restore",
        f"--snapshot={snapshot}",
    ]
    with Program(
        "pg_dump", arguments, parameters, application_name="holdfast schema", doing="dumping the schema"
    ) as program:
        return program.read_all()


def dump_globals(parameters: ConnectionParameters, roles: Iterable[str]) -> bytes:
    """
    Return the server's roles, memberships and tablespaces as SQL, without passwords.

    Where the provider hides some of it, the *roles* that the database needs are at least created, and the
    text says so.
    """
    arguments = ["--globals-only", "--no-role-passwords", "--no-password", f"--database={parameters.dbname}"]
    try:
        return run("pg_dumpall", arguments, parameters, application_name="holdfast roles", doing="dumping the roles")
    except PrivilegeMissing:
        lines = ["-- The provider hides roles' attributes from the role of the backup: only their names are known."]
        lines += [f"CREATE ROLE {identifier(role)};" for role in roles]
        return ("\n".join(lines) + "\n").encode()


def sequences_of(schema_dump: bytes) -> tuple[Sequence, ...]:
    """Return the values of sequences that the archive sets, sorted by name."""
    with tempfile.NamedTemporaryFile(prefix="schema-") as file:
        file.write(schema_dump)
        file.flush()
        text = run("pg_restore", ["--section=data", "--file=-", file.name], doing="reading the schema dump")
    found = [
        _sequence(match)
        for line in text.decode(errors="surrogateescape").splitlines()
        if (match := _SETVAL.match(line))
    ]
    return tuple(sorted(found, key=lambda sequence: (sequence.schema_name, sequence.name)))


def _sequence(match: re.Match[str]) -> Sequence:
    name = _QUALIFIED.fullmatch(match["name"].replace("''", "'"))
    if name is None:
        raise UnexpectedState("The schema dump sets a sequence whose name cannot be read.")
    return Sequence(
        schema_name=_unquoted(name["schema"]),
        name=_unquoted(name["name"]),
        value=int(match["value"]),
        called=match["called"] == "true",
    )


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
