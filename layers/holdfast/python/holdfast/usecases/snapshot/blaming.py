"""Tell a change of the schema from what programs and queries say when they do not find an object any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.errors import InternalError_

from holdfast.adapters.postgres.connect import ConnectionParameters, connect_to_source
from holdfast.adapters.postgres.fingerprint import gone, read_schema
from holdfast.adapters.postgres.snapshots import begin_imported
from holdfast.errors import HoldfastError, PrivilegeMissing, ProgramFailed, SchemaChanged, UnexpectedState
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Hold

SETTINGS = {"statement_timeout": "60s", "lock_timeout": "1s"}


@contextmanager
def blaming_changes(parameters: ConnectionParameters, hold: Hold) -> Iterator[None]:
    """
    Raise `SchemaChanged` in place of a final error, where something that the snapshot of *hold* sees is gone by now.

    pg_dump and queries read catalogues under the snapshot, and ask the server for what it has now: a view that was
    dropped in between, or a partitioned table that has another name, is an error to them which may mean anything.
    The next attempt sees a schema without it.
    """
    try:
        yield
    except (ProgramFailed, PrivilegeMissing, UnexpectedState) as error:
        if kinds := _changed(parameters, hold):
            raise SchemaChanged(f"The schema changed while {hold.point_id} was captured: {kinds}.") from error
        raise


def _changed(parameters: ConnectionParameters, hold: Hold) -> str:
    """Return the kinds of what is gone, or is another; nothing where the server does not tell."""
    name = session_name("blame", hold.point_id)
    with (
        suppress(HoldfastError, psycopg.Error),
        connect_to_source(parameters, application_name=name, **SETTINGS) as session,
    ):
        begin_imported(session, hold.snapshot, hold.server)
        try:
            before = read_schema(session).lines
        except InternalError_:
            return "something was dropped"
        session.execute("COMMIT")
        return ", ".join(sorted(gone(before, read_schema(session).lines)))
    return ""
