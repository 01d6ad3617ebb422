"""Messages of the `protect` state machine, and the receipts that it leaves."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from holdfast.contracts.message import Contract


class ProtectRequest(Contract):
    """
    Keep a point whatever its age, or, with *protect* false, no longer; always for a *reason*.

    With *legal_hold* nobody at all removes what it is made of while it is protected. *execution* and *run* (its name)
    are added by the machine.
    """

    database: str
    point_id: str
    protect: bool = True
    reason: str = Field(min_length=1, max_length=256)
    legal_hold: bool = False
    execution: str
    run: str


class Guarded(Contract):
    """
    What has been done so far; the machine goes on until *finished*.

    *versions* of objects got, or lost, their legal hold; *missing* ones are not in the archive any more.
    """

    database: str
    point_id: str
    protect: bool
    reason: str
    legal_hold: bool
    finished: bool = False
    versions: int = 0
    missing: int = 0


class Guarding(Contract):
    """How far a run has come with the chunks of a point: *done* of them, in the manifest's order."""

    done: int = 0
    missing: int = 0


class ProtectionReceipt(Guarded):
    """What a run did, by whom (*execution*) and when."""

    execution: str
    at: datetime
