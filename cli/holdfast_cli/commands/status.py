"""`holdfast status [DB]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from holdfast.contracts.restoring import Progress
from holdfast.model.points import PointState, RecoveryPoint, newest_restorable
from holdfast.ports.catalogue import Hold
from holdfast_cli import words
from holdfast_cli.lasting import Lasting
from holdfast_cli.reports import is_restore
from holdfast_cli.runs import Run
from holdfast_cli.session import Session, session

AllLasting = Mapping[str, Sequence[Progress]]
"""What takes long in each execution."""
SILENT_SECONDS = 60
"""A holder pings every 10 s; one that has been silent for so long is dead or frozen."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What one database has."""

    database: str
    newest: RecoveryPoint | None
    intact: RecoveryPoint | None
    proven: RecoveryPoint | None
    holds: tuple[Hold, ...]
    capturing: RecoveryPoint | None = None
    waiting: RecoveryPoint | None = None
    """The oldest point of which nobody has seen everything in the second region; None where there is no such region."""
    archive: RecoveryPoint | None = None
    """The newest intact one whose data we have: others tell no size."""
    fallback: str = ""
    """Why its points are archives although its provider offers more."""

    @property
    def facts(self) -> dict[str, Any]:
        """Return it as JSON gives it."""
        points = {"newest": self.newest, "newest_intact": self.intact, "newest_proven": self.proven}
        found = {name: asdict(point) if point else None for name, point in points.items()}
        told = {"note": self.fallback} if self.fallback else {}
        return {"database": self.database, **told, **found, "holds": [asdict(hold) for hold in self.holds]} | (
            {"waiting_for_second_region": self.waiting.id} if self.waiting else {}
        )


def status(
    context: typer.Context,
    database: Annotated[str | None, typer.Argument(help="Only this database.", show_default=False)] = None,
) -> None:
    """Show what protects each database, which snapshots are held open, and what runs."""
    here = session(context)
    names = [here.system.database(database).name] if database else sorted(here.system.configuration.databases)
    found = [_protection(here, name) for name in names]
    runs = [run for run in _running(here) if database in {None, run.input.get("database")}]
    lasting = {run.arn: Lasting(lambda: here.system.scratch, run.arn).now() for run in runs if is_restore(run.arn)}
    facts = {"databases": [each.facts for each in found], "runs": [_facts(run, lasting) for run in runs]}
    here.screen.result(facts, lambda: _screen(found, runs, lasting))


def _protection(here: Session, name: str) -> Protection:
    points = here.system.points.newest_first(name)
    return Protection(
        database=name,
        fallback=here.system.configuration.databases[name].fallback,
        newest=points[0] if points else None,
        intact=newest_restorable(points, mechanism=None),
        proven=newest_restorable(points, mechanism=None, proven=True),
        archive=newest_restorable(points),
        holds=tuple(here.system.holds.open(name)),
        capturing=next((point for point in points if point.state is PointState.CAPTURING), None),
        waiting=_waiting(here, points),
    )


def _waiting(here: Session, points: Sequence[RecoveryPoint]) -> RecoveryPoint | None:
    """Return the oldest sealed point that the second region is not known to have; only the first region knows."""
    place = here.system.configuration.holdfast.second_region
    if not place or here.system.place.region == place:
        return None
    sealed = {PointState.CAPTURED, PointState.INTACT, PointState.PROVEN}
    missing = (point for point in points if point.archived and point.state in sealed and not point.replicated_at)
    return min(missing, key=lambda point: point.taken_at, default=None)


def _running(here: Session) -> list[Run]:
    machines = here.system.machines()
    return sorted((run for machine in machines for run in here.system.runs.running(machine)), key=_since)


def _since(run: Run) -> datetime:
    return run.started_at


def _facts(run: Run, lasting: AllLasting) -> dict[str, Any]:
    facts = {"execution": run.arn, "machine": run.machine, "started_at": run.started_at, "input": dict(run.input)}
    told = [each.model_dump(mode="json") for each in lasting.get(run.arn, ())]
    return {**facts, "lasting": told} if told else facts


def _screen(found: Sequence[Protection], runs: Sequence[Run], lasting: AllLasting) -> RenderableType:
    now = datetime.now(UTC)
    parts: list[RenderableType] = [_databases(found, now)]
    parts += [Text(each.fallback, style="yellow") for each in found if each.fallback]
    holds = [hold for each in found for hold in each.holds]
    if holds:
        parts += ["", _holds(holds, now)]
    parts += [_behind(each.waiting, now) for each in found if each.waiting]
    parts += [line for each in found if each.capturing for line in _yields(each.capturing, each.holds)]
    parts += ["", _runs(runs, lasting, now) if runs else "[dim]Nothing runs.[/]"]
    return Group(*parts)


def _behind(point: RecoveryPoint, now: datetime) -> Text:
    sealed = words.age(point.captured_at or point.started_at, now)
    return Text(f"{point.id}: not seen whole in the second region yet, sealed {sealed}.", style="yellow")


def _databases(found: Iterable[Protection], now: datetime) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("DATABASE", "NEWEST POINT", "BACKUP AGE", "PROOF AGE", "SIZE"):
        table.add_column(heading, no_wrap=True)
    for each in found:
        intact, proven, stored = each.intact, each.proven, each.archive
        table.add_row(
            f"[bold]{each.database}[/]",
            words.state(each.newest.state) if each.newest else "[bold red]✘ none[/]",
            words.age(intact.taken_at, now) if intact else "[bold red]never[/]",
            words.age(proven.taken_at, now) if proven else "[yellow]never[/]",
            f"{words.size(stored.bytes_plain)}, {words.size(stored.bytes_stored)} stored" if stored else "-",
        )
    return table


def _holds(holds: Sequence[Hold], now: datetime) -> Table:
    table = Table(title="Snapshots held open", title_justify="left", box=None, pad_edge=False)
    for heading in ("POINT", "AGE", "HOLDER", "TABLES", "SESSION", "LAST SIGN OF LIFE"):
        table.add_column(heading, no_wrap=True)
    for hold in holds:
        silent = (now - hold.pinged_at).total_seconds()
        style = "bold red" if silent > SILENT_SECONDS else "green"
        sign = f"[{style}]{words.age(hold.pinged_at, now)}[/]"
        holder, tables, session = f"generation {hold.generation}", words.number(hold.tables), str(hold.backend_pid)
        table.add_row(hold.point_id, words.age(hold.taken_at, now), holder, tables, session, sign)
    return table


def _yields(point: RecoveryPoint, holds: Sequence[Hold]) -> list[RenderableType]:
    """Say to whom a running backup gave way, and whether it has begun anew."""
    if not point.yields:
        return []
    goes_on = f"Attempt {point.yields + 1} is under way." if holds else "It begins anew by itself."
    return ["", Text(f"{point.id}: {point.yielded_to} {goes_on}", style="yellow")]


def _runs(runs: Sequence[Run], lasting: AllLasting, now: datetime) -> Table:
    table = Table(title="Running", title_justify="left", box=None, pad_edge=False)
    for heading in ("RUN", "MACHINE", "FOR"):
        table.add_column(heading, no_wrap=True)
    for run in runs:
        table.add_row(run.name, run.machine, words.duration(run.seconds(now)))
        for each in lasting.get(run.arn, ()):
            table.add_row(f"  [dim]{escape(each.sentence)}[/]")
    return table
