"""Read definitions within one invocation, or say that there are too many of them for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from holdfast.adapters.postgres import facts
from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect_to_source
from holdfast.errors import HoldfastError, SchemaTooLarge, StillWorking
from holdfast.model.sessions import session_name

RESERVE_SECONDS = 45.0
"""What an invocation keeps for its end: to count what was too much, and for what comes after the definitions."""
RESERVE_SHARE = 0.2
"""Of a short invocation, in place of those seconds."""
_AGAIN_SECONDS = 1.0
_CANCEL_SECONDS = 5.0
_GRACE_SECONDS = 5
_COUNTING = {"statement_timeout": "10s"}


class TimeLimit:
    """
    What is left of an invocation for reading definitions, which nobody can go on with: pg_dump begins anew.

    An invocation that is cut off would be repeated, as long and as fruitless; so what does not end in time ends it
    with an error that nobody repeats.
    """

    def __init__(
        self, parameters: ConnectionParameters, *, name: str, point_id: str, seconds_left: Callable[[], float]
    ) -> None:
        """Count for the database *name* and its point from what *seconds_left* says now."""
        self._parameters, self._name, self._seconds_left = parameters, name, seconds_left
        self._point_id = point_id
        self._whole = seconds_left()
        self._reserve = min(RESERVE_SECONDS, RESERVE_SHARE * self._whole)

    def left(self) -> float:
        """Return how many seconds reading may still take."""
        return max(0.0, self._seconds_left() - self._reserve)

    @property
    def settings(self) -> dict[str, str]:
        """Return the limit as the server's own, should our process be frozen with a statement under way."""
        return {"statement_timeout": f"{int(self.left()) + _GRACE_SECONDS}s"}

    @contextmanager
    def around(self, doing: str, session: Connection | None = None) -> Iterator[None]:
        """
        Cancel the statements of *session* when time is up, and raise `SchemaTooLarge` for what did not end.

        Programs in the block are given `left` and raise `StillWorking` by themselves.
        """
        over, done = threading.Event(), threading.Event()
        watch = threading.Thread(target=self._watch, args=(session, over, done), name="time limit", daemon=True)
        watch.start()
        try:
            yield
        except StillWorking as error:
            raise self._too_large(doing) from error
        except psycopg.errors.QueryCanceled as error:
            if not over.is_set():
                raise
            raise self._too_large(doing) from error
        finally:
            done.set()
            watch.join()

    def _watch(self, session: Connection | None, over: threading.Event, done: threading.Event) -> None:
        if done.wait(self.left()) or session is None:
            return
        over.set()
        while True:
            # Again and again: between two statements there is nothing to cancel.
            with suppress(psycopg.Error):
                session.cancel_safe(timeout=_CANCEL_SECONDS)
            if done.wait(_AGAIN_SECONDS):
                return

    def _too_large(self, doing: str) -> SchemaTooLarge:
        return SchemaTooLarge(
            f"Time was up while {doing}: {self._whole - self._reserve:.0f} s did not suffice for the definitions of "
            f"{self._name}{self._counted()}."
        )

    def _counted(self) -> str:
        """Return how many objects there are; nothing where the server does not tell in time."""
        with suppress(psycopg.Error, HoldfastError):
            name = session_name("count", self._point_id)
            with connect_to_source(self._parameters, application_name=name, **_COUNTING) as session:
                found = facts.object_counts(session)
            return f", which has {found.tables:,} tables, {found.indexes:,} indexes and {found.others:,} other objects"
        return ""
