"""`holdfast restore DB`."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from holdfast.contracts.restore import Proof
from holdfast.errors import BadRequest, PointNotRestorable, TargetNotEmpty
from holdfast.model.points import Kind, PointState, RecoveryPoint, newest_restorable, refuse_without_archive
from holdfast.usecases.restore.choosing import remedy_of_damage
from holdfast_cli import system, words
from holdfast_cli.commands.show import manifest_of
from holdfast_cli.plans import Planned, facts_of
from holdfast_cli.reports import notes_on
from holdfast_cli.runs import Run
from holdfast_cli.session import Session, session

LATEST, LATEST_PROVEN = "latest", "latest-proven"
_LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts longer names without a word."""


def restore(  # noqa: PLR0917  # typer makes arguments and options of parameters
    context: typer.Context,
    database: Annotated[str, typer.Argument(help="The database whose point is restored.", show_default=False)],
    into: Annotated[str, typer.Option(help="The name of the new database, or of an empty one.", show_default=False)],
    point: Annotated[str, typer.Option(help="latest, latest-proven, or a point's id.")] = LATEST,
    target_secret: Annotated[
        str | None, typer.Option(help="A target of holdfast.toml or its secret; default: the source's own server.")
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="Only tables that match, with what they need; may be repeated.")
    ] = None,
    schema: Annotated[list[str] | None, typer.Option(help="Only schemas that match; may be repeated.")] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="Only the schema, or only rows into tables that are empty.", show_default="what the point has"
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the report.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Show the run until the database is proven.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Tell what would be done, and do nothing.")] = False,
) -> None:
    """Restore a recovery point, or a part of it, and prove that what was restored equals the archive."""
    here = session(context)
    part = Wanted(kind=kind, tables=tuple(table or ()), schemas=tuple(schema or ()))
    chosen = choose(here, database, point, kind=kind)
    execution = start(here, chosen, into=into, target=target_secret, reason=reason, part=part, plan_only=plan)
    if plan:
        show_plan(here, here.wait(execution, tell_plan=False))
        return
    if wait:
        _ended(here, here.wait(execution), into)
        return
    name = execution.rpartition(":")[2]

    def show() -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_row("Restore started:", f"[bold]{name}[/]")
        table.add_row("Recovery point:", chosen.id)
        table.add_row("Look at it with:", f"holdfast{here.flags} watch {name}")
        return table

    here.screen.result({"execution": execution, "point": chosen.id, "into": into}, show)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a point is wanted; by default all of it."""

    kind: Kind | None = None
    tables: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """Return it as the machine's input has it, without what is not said."""
        given = {"kind": self.kind.value if self.kind else None, "tables": self.tables, "schemas": self.schemas}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value}


def choose(here: Session, database: str, wanted: str, *, kind: Kind | None = None) -> RecoveryPoint:
    """Return the point that *wanted* means; raises when there is none, or it may not be restored."""
    here.system.database(database)
    if wanted in {LATEST, LATEST_PROVEN}:
        return _newest(here, database, kind=kind or Kind.FULL, proven=wanted == LATEST_PROVEN)
    if (owner := system.database_of_point(wanted)) != database:
        raise BadRequest(f"{wanted} is a recovery point of {owner}, not of {database}.")
    found = here.system.points.get(wanted)
    refuse_without_archive(found)
    if found.damaged and found.verification_version:
        here.screen.note(
            f"[bold red]WARNING[/] {found.id} is damaged: {escape(found.failure)} "
            "Only what of it is whole is restored, or nothing."
        )
    elif not found.restorable:
        raise PointNotRestorable(
            f"Recovery point {wanted} is {found.state}; only intact and proven ones may be restored.",
            hint=f"`holdfast{here.flags} points {database}` lists the others."
            + (
                f" `holdfast{here.flags} download {wanted} --damaged` writes what of it is whole."
                if found.damaged
                else ""
            ),
            point=wanted,
        )
    return found


def _newest(here: Session, database: str, *, kind: Kind, proven: bool) -> RecoveryPoint:
    known = list(here.system.points.newest_first(database))
    if found := newest_restorable(known, kind=kind, proven=proven):
        return found
    hint = f"`holdfast{here.flags} backup {database} --wait` makes one."
    if damaged := next((point for point in known if point.damaged), None):
        hint = f"{hint} {remedy_of_damage(damaged)}"
    raise PointNotRestorable(f"{database} has no {'proven' if proven else 'intact'} recovery point.", hint=hint)


def start(
    here: Session,
    point: RecoveryPoint,
    *,
    into: str,
    target: str | None,
    reason: str,
    part: Wanted | None = None,
    plan_only: bool = False,
) -> str:
    """Start the restore in the network of its target, or only make its plan there, and return its execution."""
    _check_name(into)
    words.check_reason(reason)
    network, secret = _target(here, point.database, target)
    part = part or Wanted()
    if secret is None and Kind.DATA not in {part.kind, point.kind}:
        _refuse_source(here, point, into)
    request: dict[str, Any] = {"database": point.database, "point": point.id, "into": into, "reason": reason}
    request |= part.fields
    if secret:
        request["target_secret"] = secret
    if plan_only:
        request["plan_only"] = True
    machine = here.system.machine("restore", network)
    return here.system.runs.start(machine, request, label=f"restore-{point.database}")


def _check_name(into: str) -> None:
    if not 0 < len(into.encode()) <= _LONGEST_NAME:
        raise BadRequest(f"A database's name has 1 to {_LONGEST_NAME} bytes, not {len(into.encode())}.")
    if any(unicodedata.category(character) == "Cc" for character in into):
        raise BadRequest(f"{into!r} has control characters in it; no database is to be called so.")


def _refuse_source(here: Session, point: RecoveryPoint, into: str) -> None:
    """Raise `TargetNotEmpty` for the database itself: starting would only tell the same later."""
    manifest = manifest_of(here.system, point)
    if manifest and manifest.source.database_name == into:
        raise TargetNotEmpty(
            f"{into} is the database that {point.id} was taken from; it is never restored over.",
            hint="Give a new name with --into, or another server with --target-secret.",
        )


def _target(here: Session, database: str, target: str | None) -> tuple[str, str | None]:
    """Return the network and secret of the target server; raises `BadRequest` for what restores may not read."""
    own, found = here.system.database(database), here.system.configuration.targets
    if target is None:
        return own.network, None
    for name, known in found.items():
        if target in {name, known.secret}:
            return known.network, known.secret
    prefix = f"{here.system.name}/target/"
    if target.startswith(prefix):
        return own.network, target
    raise BadRequest(
        f"{target!r} is no target and no secret of one.",
        hint=f"Name a target of holdfast.toml ({', '.join(sorted(found)) or 'there is none'}) "
        f"or a secret that begins with {prefix}.",
    )


def show_plan(here: Session, run: Run) -> None:
    """Show what the run, which only made a plan, found; without the right to read it, where it lies."""
    scratch, said = here.system.scratch, dict(run.output.get("plan", {}))
    planned = Planned(lambda: scratch, run.arn)
    found = planned.plan()
    lines = planned.lines() or (f"The plan lies in s3://{scratch.bucket}/{said.get('key')}.",)
    facts = {"execution": run.arn, "plan": facts_of(found) if found else None, **said}
    here.screen.result(facts, lambda: escape("\n".join((*lines, "", "Nothing has been touched."))))


def _ended(here: Session, run: Run, into: str) -> None:
    notes = notes_on(here.system, run)
    facts = {"execution": run.arn, "into": into, **run.output, "notes": notes}
    here.screen.result(facts, lambda: proof_table(run, notes))


def _proven(proof: Proof) -> str:
    if not proof.tables:
        return "definitions alone: there were no tables to compare by their rows"
    return f"{words.counted(proof.tables, 'table')}, {words.counted(proof.rows, 'row')}"


def _read(report: Mapping[str, Any]) -> str:
    """Return how much of the point was read; reports of older versions do not say."""
    if not report.get("bytes_of_point"):
        return ""
    said = f"{words.size(report['bytes_read'])} of the point's {words.size(report['bytes_of_point'])} in chunks"
    beside = report.get("bytes_beside")
    return f"{said}, and {words.size(beside)} of manifest, schema dump and roles" if beside else said


def proof_table(run: Run, notes: Sequence[str]) -> Table:
    """Return a restore that succeeded for people, with what else there is to know about it."""
    sentence, proof = str(run.output["report"]["sentence"]), Proof.model_validate(run.output["proof"])
    table = Table.grid(padding=(0, 3))
    rows = [
        ("database", f"[bold]{escape(str(run.input.get('into', '')))}[/]"),
        ("state", words.state(PointState.PROVEN)),
        ("proven", _proven(proof)),
        ("read", _read(run.output["report"])),
        ("took", words.duration(run.seconds(run.started_at))),
        ("report", escape(sentence)),
        *((f"note {position}", escape(note)) for position, note in enumerate(notes, start=1)),
    ]
    for name, value in rows:
        if value:
            table.add_row(f"[dim]{name}[/]", value)
    return table
