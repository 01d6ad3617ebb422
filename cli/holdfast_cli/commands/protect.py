"""`holdfast protect POINT` and `holdfast unprotect POINT`."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.contracts.protecting import Guarded
from holdfast.errors import BadRequest
from holdfast_cli import words
from holdfast_cli.session import Session, session
from holdfast_cli.system import database_of_point

Point = Annotated[str, typer.Argument(help="The id of a recovery point.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why, for whoever asks later.", show_default=False)]


def protect(
    context: typer.Context,
    point: Point,
    reason: Reason,
    legal_hold: Annotated[
        bool, typer.Option("--legal-hold", help="Let nobody at all remove any of its objects.")
    ] = False,
) -> None:
    """Keep a recovery point, whatever its age, until somebody unprotects it."""
    here = session(context)
    guarded = _run(here, point, reason, protect=True, legal_hold=legal_hold)
    here.screen.result(guarded.model_dump(mode="json"), lambda: _told(guarded))


def unprotect(context: typer.Context, point: Point, reason: Reason) -> None:
    """Let a recovery point expire again when its time is over; ends its legal hold, if it has one."""
    here = session(context)
    guarded = _run(here, point, reason, protect=False, legal_hold=False)
    here.screen.result(guarded.model_dump(mode="json"), lambda: _told(guarded))


def _run(here: Session, point: str, reason: str, *, protect: bool, legal_hold: bool) -> Guarded:
    if not reason.strip():
        raise BadRequest("A reason is missing.", hint='Add --reason "TEXT": why, and until when.')
    words.check_reason(reason)
    system = here.system
    database = system.database(database_of_point(point)).name
    known = system.points.get(point)
    if protect:
        known.guarded(reason)  # refused at once rather than by a run
    request = {"database": database, "point_id": point, "protect": protect, "reason": reason, "legal_hold": legal_hold}
    execution = system.runs.start(system.machine("protect"), request, label=f"protect-{database}")
    return Guarded.model_validate(dict(here.wait(execution).output))


def _told(guarded: Guarded) -> str:
    versions = words.counted(guarded.versions, "version")
    if guarded.protect:
        held = f" A legal hold is on {versions} of its objects." if guarded.legal_hold else ""
        return f"{guarded.point_id} is protected: {guarded.reason}.{held}{_missing(guarded)}"
    ended = f" The legal hold of {versions} of its objects is over." if guarded.legal_hold else ""
    return f"{guarded.point_id} is not protected any more.{ended}"


def _missing(guarded: Guarded) -> str:
    if not guarded.missing:
        return ""
    return f" {words.counted(guarded.missing, 'chunk')} of it could not be found: verify it."
