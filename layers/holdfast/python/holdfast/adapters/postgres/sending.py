"""Run a whole transaction as one message, which the server finishes even when its sender is gone."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psycopg

from holdfast.adapters.postgres import marks
from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect, translate
from holdfast.errors import (
    ConstraintViolated,
    HoldfastError,
    PrivilegeMissing,
    SourceRefused,
    StillWorking,
    TargetIncompatible,
)

_SETTINGS: dict[str, str | int] = {
    "statement_timeout": 0,
    "lock_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    # A notice to a client that is gone would end the statement.
    "client_min_messages": "error",
    "default_transaction_read_only": "off",
    "search_path": "",
}
_INTEGRITY = "23"
_GRANT = (
    "Grant the missing privilege to the role of the target's secret, drop the database if this restore created it, "
    "and restore again."
)
_SINCE_14 = {"client_connection_check_interval": 0}


def connect_to_restore(parameters: ConnectionParameters, *, doing: str, **settings: str | int) -> Connection:
    """Connect without time limits; *doing* is what the server's list of sessions shows."""
    name = f"holdfast restore {doing}"[:63]
    return connect(parameters, application_name=name, **{**_SETTINGS, **settings})


class RestoreSession:
    """
    A connection whose transactions may outlive us.

    Leaving the `with` block closes it, unless a statement still runs: that one is left alone.
    """

    def __init__(self, parameters: ConnectionParameters, *, encoding: str, doing: str) -> None:
        self.connection = connect_to_restore(parameters, doing=doing, client_encoding=encoding)
        if self.connection.info.server_version >= 140_000:
            for name, value in _SINCE_14.items():
                self.connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", (name, str(value)))
        self._abandoned = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._abandoned.is_set():
            self.connection.close()

    def run_once(self, mark: str, text: bytes, *, seconds: float, what: str) -> bool:
        """
        Run *text* and insert *mark* in one transaction; answers False when it was done already.

        All of it is one message of the simple protocol, which is one transaction by itself. When *seconds*
        pass, `StillWorking` is raised while the server goes on: the next attempt waits for it at the mark.
        Raises our errors for everything else; *what* names it.
        """
        message = f"{marks.insertion(mark)};\n".encode() + text
        failures: list[psycopg.Error] = []
        thread = threading.Thread(target=self._send, args=(message, failures), name=mark, daemon=True)
        thread.start()
        thread.join(timeout=max(0.0, seconds))
        if thread.is_alive():
            self._abandoned.set()
            raise StillWorking(f"The target still works on {what}.", hint="Holdfast goes on waiting for it by itself.")
        if failures and marks.is_taken(failures[0]):
            return False
        if failures:
            raise refused(failures[0], doing=f"restoring {what}") from failures[0]
        return True

    def _send(self, message: bytes, failures: list[psycopg.Error]) -> None:
        try:
            self.connection.execute(message)
        except psycopg.Error as error:
            failures.append(error)
        if self._abandoned.is_set():
            self.connection.close()


def refused(error: psycopg.Error, *, doing: str) -> HoldfastError:
    """Return the error of our tree; what `translate` says of sources is true of targets too, but for its remedies."""
    if (error.sqlstate or "").startswith(_INTEGRITY):
        return _violated(error, doing=doing)
    found = translate(error, doing=doing)
    if isinstance(found, PrivilegeMissing):
        return TargetIncompatible(found.message, hint=_GRANT)
    if isinstance(found, SourceRefused):
        return TargetIncompatible(found.message, hint=found.hint)
    return found


def _violated(error: psycopg.Error, *, doing: str) -> ConstraintViolated:
    """Name constraint and table; the server's sentence may hold values of rows."""
    named = error.diag
    what = f"constraint {named.constraint_name}" if named.constraint_name else f"column {named.column_name}, not null,"
    where = f" of {named.schema_name}.{named.table_name}" if named.table_name else f" of type {named.datatype_name}"
    found = ConstraintViolated(f"Archived rows break the {what}{where}, the server reported while {doing}.")
    found.ids["sqlstate"] = error.sqlstate
    return found
