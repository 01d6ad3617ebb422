"""End what nobody can go on with before an invocation is cut off, which would be repeated as long and as fruitless."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg

from holdfast.adapters.postgres.connect import Connection
from holdfast.errors import DatabaseBusy, HoldfastError, StillWorking

RESERVE_SECONDS = 45.0
"""What an invocation keeps for its end: to say what was too much, and for what comes after it."""
RESERVE_SHARE = 0.2
"""Of a short invocation, in place of those seconds."""
_AGAIN_SECONDS = 1.0
_CANCEL_SECONDS = 5.0

TooLong = Callable[[str, float], HoldfastError]
"""Makes the error for what was being done, and how many seconds it had."""


class Limit:
    """What is left of an invocation for work that begins anew when it is repeated."""

    def __init__(self, seconds_left: Callable[[], float], too_long: TooLong) -> None:
        """Count from what *seconds_left* says now; *too_long* makes the error for what does not end in time."""
        self._seconds_left, self._too_long = seconds_left, too_long
        self._reserve = min(RESERVE_SECONDS, RESERVE_SHARE * seconds_left())
        self._seconds = seconds_left() - self._reserve

    def left(self) -> float:
        """Return how many seconds the work may still take."""
        return max(0.0, self._seconds_left() - self._reserve)

    def check(self, doing: str) -> None:
        """Raise the error if time is up while *doing* what asks nobody else."""
        if self.left() <= 0:
            raise self._too_long(doing, self._seconds)

    @contextmanager
    def around(self, doing: str, session: Connection | None = None) -> Iterator[None]:
        """
        Cancel the statements of *session* when time is up, and raise the error for what did not end.

        So it does where the block passes over what was cancelled. Programs in the block are given `left` and raise
        `StillWorking` by themselves.
        """
        over, done = threading.Event(), threading.Event()
        watch = threading.Thread(target=self._watch, args=(session, over, done), name="time limit", daemon=True)
        watch.start()
        try:
            yield
        except StillWorking as error:
            raise self._too_long(doing, self._seconds) from error
        except (psycopg.errors.QueryCanceled, DatabaseBusy) as error:
            if not over.is_set():
                raise
            raise self._too_long(doing, self._seconds) from error
        finally:
            done.set()
            watch.join()
        if over.is_set():
            raise self._too_long(doing, self._seconds)

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
