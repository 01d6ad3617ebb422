"""Messages of the `rebuild` state machine, which makes a catalogue anew from what lies in a bucket."""

from __future__ import annotations

from holdfast.contracts.message import Contract


class RebuildRequest(Contract):
    """Find the points of *database* whose manifests come after the key *after*; empty begins at the first."""

    database: str
    after: str = ""


class LeftOut(Contract):
    """A point, by the name of its folder, that the catalogue does not get, and the sentence why."""

    point: str
    reason: str


class Rebuilt(Contract):
    """
    What one invocation has found: points that are new to the catalogue, by state, and those that are left out.

    *known* counts those that the catalogue had. *after* goes on; it is empty when all is done.
    """

    database: str
    intact: tuple[str, ...] = ()
    captured: tuple[str, ...] = ()
    known: int = 0
    left_out: tuple[LeftOut, ...] = ()
    after: str = ""
