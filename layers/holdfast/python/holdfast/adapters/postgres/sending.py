"""Run a whole transaction as one message, which the server finishes even when its sender is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import psycopg
from psycopg.adapt import Buffer, Loader

from holdfast.adapters.postgres import marks
from holdfast.adapters.postgres.connect import (
    Connection,
    ConnectionParameters,
    connect,
    from_sqlstate,
    set_where_known,
    translate,
)
from holdfast.adapters.postgres.lasting import Failure, failure_of, forget_failure, keeping_failure
from holdfast.adapters.postgres.progress import name_of
from holdfast.adapters.postgres.quoting import literal
from holdfast.errors import (
    ConstraintViolated,
    ContentRefused,
    HoldfastError,
    PrivilegeMissing,
    SourceDiskFull,
    SourceRefused,
    StillWorking,
    TargetDiskFull,
    TargetIncompatible,
    UnexpectedState,
)

_SETTINGS: dict[str, str | int] = {
    "statement_timeout": 0,
    "lock_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    # A notice to a client that is gone would end the statement.
    "client_min_messages": "error",
    "default_transaction_read_only": "off",
    "default_transaction_isolation": "read committed",
    "search_path": "",
}
_INTEGRITY = "23"
_CHECK = "23514"
_RESOURCES = "53"

Waiting = Callable[[Callable[[float], bool]], str]
"""Waits for the end of a transaction, by a function that waits some seconds for it and answers whether it has come."""
_GRANT = (
    "Grant the missing privilege to the role of the target's secret, drop the database if this restore created it, "
    "and restore again."
)
# An archived database's own limits hold for its sessions as soon as they are restored, which is before statistics are.
_WHERE_KNOWN = {"transaction_timeout": "0", "idle_session_timeout": "0", "client_connection_check_interval": "0"}
_ABANDONED = {"idle_session_timeout": "10min"}
"""A session whose function is frozen is not to stay when its statement is done."""


def connect_to_restore(parameters: ConnectionParameters, *, doing: str, **settings: str | int) -> Connection:
    """Connect without time limits; *doing* is what the server's list of sessions shows."""
    name = f"holdfast restore {doing}"[:63]
    connection = connect(parameters, application_name=name, **{**_SETTINGS, **settings})
    try:
        set_where_known(connection, _WHERE_KNOWN)
    except psycopg.Error as error:
        connection.close()
        raise refused(error, doing="setting up the session") from error
    return connection


class _AnyText(Loader):
    """Read text as it is, in UTF-8 or without a known encoding, for which psycopg gives bytes."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


class RestoreSession:
    """
    A connection whose transactions may outlive us.

    Leaving the `with` block closes it, unless a statement still runs: that one is left alone.
    """

    def __init__(self, parameters: ConnectionParameters, *, encoding: str, doing: str, lock_timeout: str = "0") -> None:
        self.connection = connect_to_restore(
            parameters, doing=doing, client_encoding=encoding, lock_timeout=lock_timeout
        )
        set_where_known(self.connection, _ABANDONED)
        for name in ("text", "name", "varchar"):
            self.connection.adapters.register_loader(name, _AnyText)
        self._abandoned = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._abandoned.is_set():
            self.connection.close()

    def run_once(self, mark: str, text: bytes, *, wait: Waiting, what: str, lasting: bool = False) -> bool:
        """
        Run *text* and insert *mark* in one transaction; answers False when it was done already.

        All of it is one message of the simple protocol, which is one transaction by itself. When *wait* returns
        before the end, with what it has seen of the work, `StillWorking` is raised while the server goes on. A
        *lasting* transaction that fails keeps why, and the next attempt raises that. Raises our errors for
        everything else; *what* names it.
        """
        does = keeping_failure(mark, text) if lasting else f"{marks.insertion(mark)};\n".encode() + text
        # Whoever comes later finds by this name who works on the slice.
        message = f"SET application_name = {literal(name_of(mark))};\n".encode() + does
        failures: list[psycopg.Error] = []
        thread = threading.Thread(target=self._send, args=(message, failures), name=mark, daemon=True)
        thread.start()
        seen = ""
        try:
            seen = wait(lambda seconds: _ended(thread, seconds))
        finally:
            if thread.is_alive():
                self._abandoned.set()
        if self._abandoned.is_set():
            raise still_working(seen or what)
        if failures and marks.is_taken(failures[0]):
            return False
        if failures:
            raise refused_content(failures[0], doing=f"restoring {what}") from failures[0]
        if lasting:
            self.raise_failure(mark, what=what)
        return True

    def raise_failure(self, mark: str, *, what: str) -> None:
        """
        Raise why the last attempt at *mark* failed, if it did.

        What the server lacked, somebody may have given it since: that is told once, and then tried again.
        """
        if (failure := failure_of(self.connection, mark)) is not None:
            if failure.sqlstate.startswith(_RESOURCES):
                forget_failure(self.connection, mark)
            raise _of_content(_refused_before(failure, doing=f"restoring {what}"))

    def _send(self, message: bytes, failures: list[psycopg.Error]) -> None:
        try:
            self.connection.execute(message)
        except psycopg.Error as error:
            failures.append(error)
        if self._abandoned.is_set():
            self.connection.close()


def still_working(seen: str) -> StillWorking:
    """Return the error that ends an invocation while the server works on."""
    return StillWorking(f"The target still works on {seen}.", hint="Holdfast goes on waiting for it by itself.")


def _ended(thread: threading.Thread, seconds: float) -> bool:
    thread.join(timeout=max(0.0, seconds))
    return not thread.is_alive()


def refused(error: psycopg.Error, *, doing: str) -> HoldfastError:
    """Return the error of our tree; what `translate` says of sources is true of targets too, but for its remedies."""
    if (error.sqlstate or "").startswith(_INTEGRITY):
        return _violated(error.sqlstate or "", error.diag, doing=doing)
    return _of_a_target(translate(error, doing=doing))


def refused_content(error: psycopg.Error, *, doing: str) -> HoldfastError:
    """Return the same for a statement that runs what was archived, which may be at fault itself."""
    return _of_content(refused(error, doing=doing))


def _of_content(found: HoldfastError) -> HoldfastError:
    """Return *found*, but no defect of ours where the server judged rows or a definition."""
    internal = str(found.ids.get("sqlstate", "XX")).startswith("XX")
    if isinstance(found, UnexpectedState) and not internal:
        return ContentRefused(found.message, hint=None, **found.ids)
    return found


@contextmanager
def refusing(doing: str) -> Iterator[None]:
    """Raise our errors for those of PostgreSQL within the block, which is *doing* something in the target."""
    try:
        yield
    except psycopg.Error as error:
        raise refused(error, doing=doing) from error


def _refused_before(failure: Failure, *, doing: str) -> HoldfastError:
    """Return the same for a failure that somebody else's transaction has kept."""
    if failure.sqlstate.startswith(_INTEGRITY):
        return _violated(failure.sqlstate, failure, doing=doing)
    return _of_a_target(from_sqlstate(failure.sqlstate, doing=doing, detail=failure.sentence.rstrip(".")))


def _of_a_target(found: HoldfastError) -> HoldfastError:
    if isinstance(found, PrivilegeMissing):
        return TargetIncompatible(found.message, hint=_GRANT, **found.ids)
    if isinstance(found, SourceDiskFull):
        return TargetDiskFull(found.message, hint=None, **found.ids)
    if isinstance(found, SourceRefused):
        return TargetIncompatible(found.message, hint=found.hint, **found.ids)
    return found


def _violated(sqlstate: str, named: psycopg.errors.Diagnostic | Failure, *, doing: str) -> ConstraintViolated:
    """Name constraint and table; the server's sentence may hold values of rows."""
    if named.constraint_name:
        what = f"constraint {named.constraint_name}"
    elif named.column_name:
        what = f"column {named.column_name}, not null,"
    else:
        what = "bounds of the partition" if sqlstate == _CHECK and named.table_name else "rules"
    where = f" of {named.schema_name}.{named.table_name}" if named.table_name else f" of type {named.datatype_name}"
    found = ConstraintViolated(f"Archived rows break the {what}{where}, the server reported while {doing}.")
    found.ids["sqlstate"] = sqlstate
    return found
