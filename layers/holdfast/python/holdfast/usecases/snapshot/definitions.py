"""
Look at the definitions that a backup takes: their fingerprint, and of a selection what pg_dump takes for it.

Of everything, the fingerprint is asked of the catalogues. Of a selection it is that of pg_dump's own choice, so that
it knows just what the schema dump holds: a table that is left out may change as it likes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.adapters.postgres.connect import Connection
from holdfast.adapters.postgres.fingerprint import fingerprint
from holdfast.adapters.postgres.relations import lockable
from holdfast.adapters.postgres.schema_dump import dump_schema
from holdfast.errors import UnexpectedState
from holdfast.model.tables import Named, TableName
from holdfast.model.toc import TocEntry, read_toc
from holdfast.usecases.snapshot.protected import Protected
from holdfast.usecases.snapshot.time_limit import TimeLimit

Thing = TypeVar("Thing", bound=Named)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The fingerprint, and the entries of pg_dump's archive where only a selection of all is taken."""

    fingerprint: str
    entries: tuple[TocEntry, ...] | None = None

    def of_kind(self, kind: str, things: Iterable[Thing]) -> tuple[Thing, ...]:
        """Return those of *things* that pg_dump takes as entries of *kind*."""
        if self.entries is None:
            return tuple(things)
        names = {(entry.schema, entry.tag) for entry in self.entries if entry.kind == kind}
        return tuple(thing for thing in things if (thing.schema_name, thing.name) in names)


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

    Raises `UnexpectedState` when pg_dump takes other tables for the selection than we do, and `StillWorking` when it
    does not end within *limit*, which the caller has around it.
    """
    if protected.selection.everything:
        return Definitions(fingerprint(session))
    dumped = dump_schema(
        protected.parameters,
        snapshot,
        encoding=encoding,
        selection=protected.selection,
        sequence_values=False,
        application_name=application_name,
        seconds_left=limit.left,
    )
    entries = read_toc(dumped)
    _refuse_another_choice(session, protected, entries)
    return Definitions(_hash(entries), entries)


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
    lines = sorted(
        json.dumps([entry.kind, entry.schema, entry.tag, entry.owner, entry.access_method, entry.definition])
        for entry in entries
    )
    return "dump:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
