"""Read definitions within one invocation, or say that there are too many of them for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psycopg

from holdfast.adapters.postgres import facts
from holdfast.adapters.postgres.connect import ConnectionParameters, connect_to_source
from holdfast.errors import HoldfastError, SchemaTooLarge
from holdfast.model.sessions import session_name
from holdfast.usecases.limiting import Limit

_GRACE_SECONDS = 5
_COUNTING = {"statement_timeout": "10s"}


class TimeLimit(Limit):
    """
    What is left of an invocation for reading definitions, which nobody can go on with: pg_dump begins anew.

    What does not end in time ends the invocation with `SchemaTooLarge`, which nobody repeats.
    """

    def __init__(
        self, parameters: ConnectionParameters, *, name: str, point_id: str, seconds_left: Callable[[], float]
    ) -> None:
        """Count for the database *name* and its point from what *seconds_left* says now."""
        super().__init__(seconds_left, self._too_large)
        self._parameters, self._name, self._point_id = parameters, name, point_id

    @property
    def settings(self) -> dict[str, str]:
        """Return the limit as the server's own, should our process be frozen with a statement under way."""
        return {"statement_timeout": f"{int(self.left()) + _GRACE_SECONDS}s"}

    def _too_large(self, doing: str, seconds: float) -> SchemaTooLarge:
        return SchemaTooLarge(
            f"Time was up while {doing}: {seconds:.0f} s did not suffice for the definitions of "
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
