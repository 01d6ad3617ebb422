"""
Write tables of contents of pg_dump archives, as pg_restore reads them: in directory format, and parts of a schema dump.

What a schema dump (custom format) holds is taken over byte by byte; in directory format, entries for rows, which lie
in files of their own, and for what comes after them are added. The layout is that of `WriteHead` and `WriteToc` in
PostgreSQL's pg_backup_archiver.c, and of `_CloseArchive` and `_WriteExtraToc` in pg_backup_directory.c, which calls
itself a tar archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.model.toc import Section, TocParts

_MAGIC = b"PGDMP"
_CUSTOM, _TAR = 1, 3
_PLAIN, _GZIP = 0, 1
_NO_DATA = 3
_SETTLES = {"ENCODING", "STDSTRINGS", "SEARCHPATH"}
"""Entries by which pg_restore knows how to write all others."""
_NEW_VERSION = bytes((1, 16, 0, 4, 8))
"""Archive version 1.16.0, integers of four bytes, offsets of eight: what pg_dump 18 writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """
    An entry to add. With *file* it has rows, which *copy* loads; else *definition* is run.

    *depends_on* are numbers of other entries: nothing runs before those.
    """

    number: int
    kind: str
    tag: str
    section: Section
    schema: str = ""
    definition: str = ""
    copy: str = ""
    file: str = ""
    depends_on: tuple[int, ...] = ()


def directory_toc(schema: TocParts | None, added: Sequence[NewEntry], *, database: str, client: str) -> bytes:
    """
    Return `toc.dat`: the entries of *schema*, if there is one, with *added* in their places.

    Rows and what prepares them come before everything that follows rows, the rest at the end. *client* is the
    version of pg_dump that wrote the schema.
    """
    version = schema.version if schema else _NEW_VERSION
    writer = _Writer(version[3])
    kept = [(entry.section, body) for entry, body in schema.entries] if schema else _preamble(writer)
    cut = next((at for at, (section, _) in enumerate(kept) if section == Section.POST_DATA), len(kept))
    bodies = [body + writer.text("") for _, body in kept]
    early = [writer.entry(new) for new in added if new.section != Section.POST_DATA]
    late = [writer.entry(new) for new in added if new.section == Section.POST_DATA]
    everything = [*bodies[:cut], *early, *bodies[cut:], *late]
    head = schema.head if schema else writer.head(database, client)
    return b"".join([_MAGIC, version, bytes((_TAR, _GZIP)), head, writer.integer(len(everything)), *everything])


class SchemaParts:
    """
    Write archives in custom format of some entries of *schema* each.

    What pg_restore takes to write the SQL of some entries is mostly the reading of all others.
    """

    def __init__(self, schema: TocParts) -> None:
        self._writer, offset_size = _Writer(schema.version[3]), schema.version[4]
        self._nowhere = bytes((_NO_DATA,)) + bytes(offset_size)
        self._bodies = {entry.number: body for entry, body in schema.entries}
        self._settling = [entry.number for entry, _ in schema.entries if entry.kind in _SETTLES]
        self._start = b"".join([_MAGIC, schema.version, bytes((_CUSTOM, _PLAIN)), schema.head])

    def of(self, numbers: Sequence[int]) -> bytes:
        """Return the archive of the entries with these *numbers*."""
        wanted = [*self._settling, *numbers]
        bodies = (self._bodies[number] + self._nowhere for number in wanted)
        return b"".join([self._start, self._writer.integer(len(wanted)), *bodies])


def _preamble(writer: _Writer) -> list[tuple[Section, bytes]]:
    """Return the one entry without which pg_restore would read names in an encoding of its own choice."""
    entry = NewEntry(
        number=1, kind="ENCODING", tag="ENCODING", section=Section.PRE_DATA,
        definition="SET client_encoding = 'UTF8';\n",
    )  # fmt: skip
    return [(Section.PRE_DATA, writer.body(entry))]


class _Writer:
    def __init__(self, int_size: int) -> None:
        self._int_size = int_size

    def integer(self, value: int) -> bytes:
        return bytes((value < 0,)) + abs(value).to_bytes(self._int_size, "little")

    def text(self, text: str | None) -> bytes:
        if text is None:
            return self.integer(-1)
        body = text.encode("utf-8", "surrogateescape")
        return self.integer(len(body)) + body

    def head(self, database: str, client: str) -> bytes:
        """Return everything between the compression and the number of entries; the time is left out."""
        moment = (0, 0, 0, 1, 0, 100, 0)
        return b"".join(map(self.integer, moment)) + b"".join(map(self.text, (database, client, client)))

    def body(self, new: NewEntry) -> bytes:
        """Return an entry without the place of its rows."""
        fields = [self.integer(new.number), self.integer(bool(new.file)), self.text("0"), self.text("0")]
        fields += [self.text(new.tag), self.text(new.kind), self.integer(new.section)]
        fields += [self.text(new.definition), self.text(""), self.text(new.copy or None), self.text(new.schema or None)]
        fields += [self.text(""), self.text(None), self.integer(0), self.text(""), self.text("false")]
        return b"".join([*fields, *(self.text(str(number)) for number in new.depends_on), self.text(None)])

    def entry(self, new: NewEntry) -> bytes:
        return self.body(new) + self.text(new.file)
