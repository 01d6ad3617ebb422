"""Let pg_restore write the SQL of some entries of a schema dump, as one text that one transaction can run."""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from holdfast.adapters.postgres.programs import run
from holdfast.errors import UnexpectedState
from holdfast.model.halving import definition
from holdfast.model.slices import Way
from holdfast.model.toc import TocEntry, read_toc

_END_OF_SETTINGS = b"SET row_security = off;\n"
_ENCODING = re.compile(rb"^SET client_encoding = '([^']+)';$", re.MULTILINE)
_OPTIONS = ("--no-tablespaces", "--no-statistics")
_GRANTOR = re.compile(rb"^SET SESSION AUTHORIZATION (.+);$", re.MULTILINE)
# transaction_timeout is new in 17; messages to a client that is gone would end the statement.
_REPLACED = (re.compile(rb"^SET (transaction_timeout|client_min_messages|client_encoding) = .*\n", re.MULTILINE),)


@dataclass(frozen=True, slots=True)
class Script:
    """SQL in the encoding *encoding*, which the connection must speak before it is sent."""

    text: bytes
    encoding: str


class SchemaDump:
    """A schema dump on disk, or a part of one, from which pg_restore writes scripts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, numbers: Iterable[int]) -> tuple[TocEntry, ...]:
        """Return the entries with these *numbers*, in the archive's order."""
        wanted = set(numbers)
        return tuple(entry for entry in self._contents if entry.number in wanted)

    @cached_property
    def _contents(self) -> tuple[TocEntry, ...]:
        return read_toc(self._path.read_bytes())

    def script(self, entries: Sequence[int], *, unowned: Collection[int] = (), way: Way = Way.WHOLE) -> Script:
        """Return the SQL of *entries*, in that order and *way*; those in *unowned* keep the owner who runs it."""
        scripts = [self._script(some, owned=owned) for owned, some in groupby(entries, lambda n: n not in unowned)]
        text = b"".join(script.text for script in scripts)
        if way is not Way.WHOLE:
            for entry in self.entries(entries):
                text = _replaced(text, entry, way)
        return Script(text, scripts[0].encoding)

    def _script(self, entries: Iterable[int], *, owned: bool) -> Script:
        r"""
        Return the SQL of *entries* without psql's commands.

        psql's `\restrict` guards against commands hidden in a dump; this text never reaches psql, and the
        lines are found by a key that nobody could know beforehand. Raises `ProgramFailed`, `UnexpectedState`.
        """
        key = secrets.token_hex(16)
        listed = "".join(f"{number};\n" for number in entries)
        with tempfile.NamedTemporaryFile("w", suffix=".list") as contents:
            contents.write(listed)
            contents.flush()
            options = _OPTIONS if owned else (*_OPTIONS, "--no-owner")
            arguments = [f"--restrict-key={key}", f"--use-list={contents.name}", *options, "--file=-"]
            text = run("pg_restore", [*arguments, str(self._path)], doing="reading the schema dump")
        return _without_commands(text, key.encode())


@contextmanager
def schema_dump(archive: bytes) -> Iterator[SchemaDump]:
    """Keep *archive* in a temporary file for as long as the block lasts."""
    with tempfile.NamedTemporaryFile(suffix=".dump") as file:
        file.write(archive)
        file.flush()
        yield SchemaDump(Path(file.name))


def by_set_role(text: bytes) -> bytes:
    """
    Return a script of grants in which grantors are assumed by SET ROLE.

    pg_dump writes SET SESSION AUTHORIZATION, which only superusers may; members of the grantor may do this.
    """
    return _GRANTOR.sub(rb"SET ROLE \1;", text).replace(b"\nRESET SESSION AUTHORIZATION;\n", b"\nRESET ROLE;\n")


def _replaced(text: bytes, entry: TocEntry, way: Way) -> bytes:
    """Return *text* with what *entry* does in *way* in the place of what it does as a whole."""
    whole, half = entry.definition.encode("utf-8", "surrogateescape"), definition(entry, way)
    if whole not in text:
        raise UnexpectedState(f"pg_restore wrote {entry.name} in another way than pg_dump.")
    return text.replace(whole, half.encode("utf-8", "surrogateescape"), 1)


def _without_commands(text: bytes, key: bytes) -> Script:
    settings, separator, statements = text.partition(_END_OF_SETTINGS)
    found = _ENCODING.search(settings)
    before, restrict, settings = settings.partition(b"\\restrict " + key + b"\n")
    statements, unrestrict, _ = statements.rpartition(b"\\unrestrict " + key + b"\n")
    if not (separator and found and restrict and unrestrict):
        raise UnexpectedState("pg_restore wrote a script of an unknown shape.")
    for pattern in _REPLACED:
        settings = pattern.sub(b"", settings)
    return Script(before + settings + separator + statements, found[1].decode())
