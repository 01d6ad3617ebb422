"""Notice a schema's change while a backup copies, hours before its seal would."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import psycopg

from holdfast.adapters.postgres.catalogues import changes
from holdfast.adapters.postgres.connect import Connection, connect_to_source
from holdfast.adapters.postgres.fingerprint import Lines, gone, read_schema
from holdfast.adapters.postgres.snapshots import begin_imported
from holdfast.errors import HoldfastError, SchemaChanged
from holdfast.model.sessions import session_name
from holdfast.ports.catalogue import Hold
from holdfast.usecases.snapshot.protected import Protected

LOOK_SECONDS = 60.0
"""How often the catalogues are asked whether anything in them was changed or removed: three milliseconds."""
SHARE = 50
"""Times that reading all definitions takes, but at least a look's pause, until they may be read again."""
SETTINGS = {"statement_timeout": "60s", "lock_timeout": "1s"}
_CANCEL_SECONDS = 5.0


class SchemaWatch:
    """
    A thread beside a holder that compares the schema as it is now with that of the snapshot, now and then.

    It has a session of its own, for a look at many thousands of tables takes seconds in which the holder must show
    that it lives. What it cannot find out, because the server is busy for one, the seal does. A selection's definitions
    are those of pg_dump, which is too much for a look: those are the seal's alone.
    """

    def __init__(self, protected: Protected, hold: Hold) -> None:
        """Begin to watch the schema under the snapshot of *hold*; `close` ends it."""
        self._protected, self._hold = protected, hold
        self._over = threading.Event()
        self._session: Connection | None = None
        self._changed: SchemaChanged | None = None
        self._seen: int | None = None
        self._snapshots: Lines | None = None
        self._thread = threading.Thread(target=self._watch, name="schema watch", daemon=True)
        if protected.selection.everything:
            self._thread.start()

    @property
    def changed(self) -> SchemaChanged | None:
        """Return the error for the change that was found, if there is one."""
        return self._changed

    def close(self) -> None:
        """End the look that is under way, if there is one, and look no more."""
        self._over.set()
        if session := self._session:
            with suppress(psycopg.Error):
                session.cancel_safe(timeout=_CANCEL_SECONDS)
        if self._thread.is_alive():
            self._thread.join(_CANCEL_SECONDS)

    def _watch(self) -> None:
        pause = LOOK_SECONDS
        while not self._over.wait(pause):
            began = time.monotonic()
            with suppress(HoldfastError, psycopg.Error):
                self._look()
            if self._changed:
                return
            pause = max(LOOK_SECONDS, SHARE * (time.monotonic() - began))

    def _look(self) -> None:
        name = session_name("watch", self._hold.point_id)
        with connect_to_source(self._protected.parameters, application_name=name, **SETTINGS) as session:
            self._session = session
            try:
                self._compare(session)
            finally:
                self._session = None

    def _compare(self, session: Connection) -> None:
        """Compare the definitions, unless nothing was changed or removed in the catalogues since that was done."""
        counted = changes(session)
        if counted is not None and counted == self._seen:
            return
        if self._snapshots is None:
            begin_imported(session, self._hold.snapshot, self._hold.server)
            self._snapshots = read_schema(session).lines
            session.execute("COMMIT")
        if kinds := gone(self._snapshots, read_schema(session).lines):
            what = ", ".join(sorted(kinds))
            self._changed = SchemaChanged(f"The schema changed while {self._hold.point_id} was captured: {what}.")
        self._seen = counted
