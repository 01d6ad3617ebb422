"""`holdfast backup DB`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from holdfast.errors import BackupAlreadyRunning, BadRequest
from holdfast.model.points import Kind, Mechanism, RecoveryPoint, Tier
from holdfast_cli import words
from holdfast_cli.commands.show import facts_of, point_table
from holdfast_cli.session import Session, session
from holdfast_cli.words import check_reason

TURN_SECONDS = 5
"""How often somebody who waits for another backup looks whether it is over."""


def backup(  # noqa: PLR0917  # typer makes arguments and options of parameters
    context: typer.Context,
    database: Annotated[str, typer.Argument(help="A database of holdfast.toml.", show_default=False)],
    tier: Annotated[Tier, typer.Option(help="How long it is kept: as points of this tier.")] = Tier.MANUAL,
    kind: Annotated[Kind, typer.Option(help="All of it, all but rows, or only rows.")] = Kind.FULL,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the list of points.")] = "",
    keep: Annotated[
        str, typer.Option(help="How long it is kept in place of the tier's time: 90d, 12w.", show_default=False)
    ] = "",
    protect: Annotated[bool, typer.Option("--protect", help="Keep it until somebody unprotects it.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show the run until the point is intact.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Begin when a backup that runs already is over.")] = False,
) -> None:
    """Back up one database now, and read every byte of the copy back."""
    here = session(context)
    if queue:
        _await_turn(here, database)
    kept = Keeping(days=words.days(keep) if keep else None, protect=protect)
    execution = start(here, database, tier=tier, kind=kind, reason=reason, keeping=kept)
    if not wait:
        _started(here, database, execution)
        return
    here.wait(execution)
    point = point_of(here, database, execution)
    here.screen.result({"execution": execution, "point": facts_of(point)}, lambda: point_table(point, _now()))


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a point is kept, where its tier does not say it."""

    days: int | None = None
    protect: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """Return it as the machine's input has it, without what is not said."""
        given = {"keep_days": self.days, "protect": self.protect}
        return {name: value for name, value in given.items() if value}


AS_ITS_TIER = Keeping()


def start(
    here: Session,
    database: str,
    *,
    tier: Tier,
    reason: str,
    kind: Kind = Kind.FULL,
    keeping: Keeping = AS_ITS_TIER,
) -> str:
    """
    Start the backup and return its execution; raises `BackupAlreadyRunning` when one runs already.

    A collection is waited for by the backup itself. Points of a tier that its provider's history or snapshots meet are
    the capture machine's; they need no lock.
    """
    check_reason(reason)
    if keeping.protect and not reason.strip():
        raise BadRequest("A point that is protected needs a reason.", hint='Add --reason "TEXT": why, and until when.')
    system = here.system
    protected = system.database(database)
    request: dict[str, Any] = {"database": database, "tier": tier.value, "kind": kind.value, "reason": reason}
    label = f"{database}-{tier.value}"
    if (mechanism := protected.tiers.mechanism(tier)) is not Mechanism.ARCHIVE:
        _refuse_parts(kind, tier, mechanism)
        _refuse_keeping(keeping, tier, mechanism)
        return system.runs.start(system.machine("capture"), request, label=label)
    request |= keeping.fields
    if holder := _running(here, database):
        raise BackupAlreadyRunning(
            f"A backup of {database} is running already.",
            hint=f"`holdfast{here.flags} watch {holder[1].rpartition(':')[2]}` shows it; --queue waits for it.",
            point=holder[0],
            execution=holder[1],
        )
    return system.runs.start(system.machine("backup", protected.network), request, label=label)


def _running(here: Session, database: str) -> tuple[str, str] | None:
    """Return point and execution of the backup that has the database's lock, if it lives."""
    holder = here.system.points.lock_holder(database)
    return holder if holder and holder[0] and here.system.runs.goes_on(holder[1]) else None


def _await_turn(here: Session, database: str) -> None:
    """Wait until no backup of the database runs: a deployment needs a point of now, not the one that is being made."""
    told = ""
    while holder := _running(here, here.system.database(database).name):
        if holder[0] != told:
            told = holder[0]
            here.screen.note(f"Waiting for the backup {told}, which runs already.")
        time.sleep(TURN_SECONDS)


def _refuse_parts(kind: Kind, tier: Tier, mechanism: Mechanism) -> None:
    if kind is not Kind.FULL:
        raise BadRequest(
            f"The provider keeps no part of a database: {tier} points are of its {mechanism}.",
            hint=f"Leave out `--kind {kind}`, or take an archive: leave out `--tier {tier}`.",
        )


def _refuse_keeping(keeping: Keeping, tier: Tier, mechanism: Mechanism) -> None:
    if keeping.fields:
        raise BadRequest(
            f"Only an archive is kept for a time of its own: {tier} points are of the provider's {mechanism}.",
            hint=f"Take an archive: leave out `--tier {tier}`.",
        )


def point_of(here: Session, database: str, execution: str) -> RecoveryPoint:
    """Return the point that the execution made."""
    points = here.system.points.newest_first(database, limit=50)
    return next(point for point in points if point.execution == execution)


def _started(here: Session, database: str, execution: str) -> None:
    name = execution.rpartition(":")[2]

    def show() -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_row("Backup started:", f"[bold]{name}[/]")
        table.add_row("Look at it with:", f"holdfast{here.flags} watch {name}")
        return table

    here.screen.result({"database": database, "execution": execution}, show)


def _now() -> datetime:
    return datetime.now(UTC)
