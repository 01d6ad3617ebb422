"""
Look at the definitions that a backup takes: their fingerprint, and of a selection what pg_dump takes for it.

Of everything, the fingerprint is asked of the catalogues. Of a selection it is that of pg_dump's own choice, so that
it knows just what the schema dump holds: a table that is left out may change as it likes.

Two looks are compared: one that sees the snapshot, and one at what is there now. What has been added since harms
nothing: every list of pg_dump's and ours is read under the snapshot. What has changed or gone does: the server writes
definitions, labels and names down as they are now.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint import Lines, compact, gone, read_schema
from holdfast.adapters.postgres.relations import lockable
from holdfast.adapters.postgres.schema_dump import dump_schema
from holdfast.errors import ProgramFailed, UnexpectedState
from holdfast.model.tables import Named, TableName
from holdfast.model.toc import TocEntry, read_toc
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.time_limit import TimeLimit

_TRIES = 3

Thing = TypeVar("Thing", bound=Named)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The fingerprint and its *lines*, and the entries of pg_dump's archive where only a selection of all is taken."""

    fingerprint: str
    lines: Lines
    entries: tuple[TocEntry, ...] | None = None

    def of_kind(self, kind: str, things: Iterable[Thing]) -> tuple[Thing, ...]:
        """Return those of *things* that pg_dump takes as entries of *kind*."""
        if self.entries is None:
            return tuple(things)
        names = {(entry.schema, entry.tag) for entry in self.entries if entry.kind == kind}
        return tuple(thing for thing in things if (thing.schema_name, thing.name) in names)

    def gone_from(self, now: Definitions) -> str:
        """Return the kinds of which something is not in *now* as it is here; empty when all is."""
        return ", ".join(sorted(kind.lower() for kind in gone(self.lines, now.lines)))


def definitions(
    session: Connection,
    protected: Protected,
    *,
    encoding: str,
    application_name: str,
    snapshot: str | None = None,
    limit: TimeLimit,
) -> Definitions:
    """
    Return the definitions as they are now, or as *snapshot* sees them where *session* has imported that.

    Raises `UnexpectedState` when pg_dump takes other tables for the selection than we do, `DatabaseBusy` when objects
    come and go too often to be read, and `StillWorking` when it does not end within *limit*, which the caller has
    around it.
    """
    if protected.selection.everything:
        schema = read_schema(session)
        return Definitions(schema.fingerprint, schema.lines)
    dump = partial(
        dump_schema,
        protected.parameters,
        snapshot,
        encoding=encoding,
        selection=protected.selection,
        sequence_values=False,
        application_name=application_name,
        seconds_left=limit.left,
    )
    entries = read_toc(dump() if snapshot else _whatever_goes(dump))
    if snapshot:  # outside of one, tables may come and go between pg_dump's look and ours
        _refuse_another_choice(session, protected, entries)
    return Definitions(_hash(entries), _lines(entries), entries)


def _whatever_goes(dump: Callable[[], bytes]) -> bytes:
    """Return what *dump* does, tried again where it fails: pg_dump does when a table goes while it looks."""
    for _ in range(_TRIES - 1):
        with suppress(ProgramFailed):
            return dump()
    return dump()


def _refuse_another_choice(session: Connection, protected: Protected, entries: Iterable[TocEntry]) -> None:
    ours = {table.name for table in lockable(session, protected.selection) if not table.of_extension}
    theirs = {TableName(entry.schema, entry.tag) for entry in entries if (entry.kind, entry.relkind) in _TABLES}
    if other := sorted(ours ^ theirs):
        raise UnexpectedState(
            f"pg_dump and Holdfast understand the patterns of {protected.name} differently: {other[0]} and "
            f"{len(other) - 1} more tables are chosen by one of them only.",
            hint="Tables may have come or gone just now: start the backup again. Else this is a defect; report it.",
        )


_TABLES = {("TABLE", "r"), ("TABLE", "p")}


def _hash(entries: Iterable[TocEntry]) -> str:
    return "dump:" + hashlib.sha256("\n".join(sorted(map(_line, entries))).encode()).hexdigest()[:32]


def _lines(entries: Iterable[TocEntry]) -> Lines:
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    for entry in entries:
        found[entry.kind].append(hashlib.sha256(_line(entry).encode()).digest())
    return {kind: compact(lines) for kind, lines in found.items()}


def _line(entry: TocEntry) -> str:
    return json.dumps([entry.kind, entry.schema, entry.tag, entry.owner, entry.access_method, entry.definition])
