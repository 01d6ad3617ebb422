"""
Read the table of contents of a pg_dump archive (custom format).

`pg_restore --list` flattens line breaks in names and separates fields by spaces, so odd names cannot be told
apart there; the file itself has every field, the SQL included. The layout is that of `ReadHead` and `ReadToc` in
PostgreSQL's pg_backup_archiver.c. Archive versions that nobody looked at here are refused, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from holdfast.errors import UnexpectedState

_MAGIC = b"PGDMP"
_CUSTOM = 1
_OLDEST, _NEWEST = (1, 14), (1, 16)
_COMPRESSION_NAMED = (1, 15)
_WITH_RELKIND = (1, 16)
_TIME_FIELDS = 7
_HEAD = 11
_CUT_SHORT = "The schema dump is cut short or is no archive of pg_dump."


class Section(IntEnum):
    """Where an entry belongs; comments, grants and labels have no section of their own."""

    NONE = 1
    PRE_DATA = 2
    DATA = 3
    POST_DATA = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TocEntry:
    """
    One entry of the archive.

    *kind* is pg_dump's description (`TABLE`, `FK CONSTRAINT`, …), *tag* the name as pg_dump writes it,
    *depends_on* the numbers of other entries, which may be missing from the archive.
    """

    number: int
    kind: str
    tag: str
    section: Section
    schema: str = ""
    owner: str = ""
    definition: str = ""
    access_method: str = ""
    relkind: str = ""
    depends_on: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Return kind and name as people read them."""
        return f"{self.kind.lower()} {self.schema + '.' if self.schema else ''}{self.tag}"


@dataclass(frozen=True, slots=True)
class TocParts:
    """An archive's table of contents in pieces: *head* from the compression on, and each entry without its place."""

    version: bytes
    head: bytes
    entries: tuple[tuple[TocEntry, bytes], ...]

    @property
    def plain(self) -> tuple[TocEntry, ...]:
        """Return the entries alone."""
        return tuple(entry for entry, _ in self.entries)


def read_parts(archive: bytes) -> TocParts:
    """Return the pieces, to write another table of contents from; raises like `read_toc`."""
    try:
        return _Reader(archive).parts()
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise UnexpectedState(_CUT_SHORT) from error


def read_toc(archive: bytes) -> tuple[TocEntry, ...]:
    """Return the entries in the archive's order; raises `UnexpectedState` for anything but a known custom archive."""
    try:
        return _Reader(archive).entries()
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise UnexpectedState(_CUT_SHORT) from error


class _Reader:
    def __init__(self, archive: bytes) -> None:
        if archive[:5] != _MAGIC:
            raise UnexpectedState("The schema dump is no archive of pg_dump.")
        self._bytes = archive
        major, minor, _revision, self._int_size, self._offset_size, form = archive[5:11]
        self._version = (major, minor)
        self._at = _HEAD
        if not _OLDEST <= self._version <= _NEWEST or form != _CUSTOM:
            raise UnexpectedState(f"The schema dump has the unknown archive version {major}.{minor}, format {form}.")

    def entries(self) -> tuple[TocEntry, ...]:
        self._read_head()
        return tuple(self._entry() for _ in range(self._integer()))

    def parts(self) -> TocParts:
        if self._version < _COMPRESSION_NAMED:
            raise UnexpectedState("The schema dump is older than what can be written anew.")
        self._read_head()
        head, found = self._bytes[_HEAD + 1 : self._at], []
        for _ in range(self._integer()):
            start = self._at
            entry = self._entry()
            found.append((entry, self._bytes[start : self._at - 1 - self._offset_size]))
        return TocParts(self._bytes[5:10], head, tuple(found))

    def _read_head(self) -> None:
        if self._version >= _COMPRESSION_NAMED:
            self._take(1)
        else:
            self._integer()
        for _ in range(_TIME_FIELDS):
            self._integer()
        for _ in ("database", "server version", "pg_dump version"):
            self._text()

    def _entry(self) -> TocEntry:
        number = self._integer()
        self._integer()  # whether there is data
        self._text()  # the catalogue's oid
        self._text()  # the object's oid
        tag, kind = self._text() or "", self._text() or ""
        section = Section(self._integer())
        definition = self._text() or ""
        self._text()  # statement to drop it
        self._text()  # COPY statement
        schema = self._text() or ""
        self._text()  # tablespace: never restored
        access_method = self._text() or ""
        relkind = self._integer() if self._version >= _WITH_RELKIND else 0
        owner = self._text() or ""
        self._text()  # WITH OIDS
        depends_on = self._numbers()
        self._take(1 + self._offset_size)  # where the data lies
        return TocEntry(
            number=number,
            kind=kind,
            tag=tag,
            section=section,
            schema=schema,
            owner=owner,
            definition=definition,
            access_method=access_method,
            relkind=chr(relkind) if relkind else "",
            depends_on=depends_on,
        )

    def _numbers(self) -> tuple[int, ...]:
        found = []
        while (text := self._text()) is not None:
            found.append(int(text))
        return tuple(found)

    def _text(self) -> str | None:
        length = self._integer()
        # Names of a database without a known encoding may be any bytes; they only have to survive.
        return None if length < 0 else self._take(length).decode("utf-8", "surrogateescape")

    def _integer(self) -> int:
        sign, *digits = self._take(1 + self._int_size)
        value = int.from_bytes(bytes(digits), "little")
        return -value if sign else value

    def _take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._bytes):
            raise IndexError("cut short")
        taken, self._at = self._bytes[self._at : end], end
        return taken
