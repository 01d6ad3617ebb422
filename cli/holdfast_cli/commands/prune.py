"""`holdfast prune DB`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from holdfast.contracts.pruning import Decisions, Judged, Outcome, Pruned
from holdfast.errors import UnexpectedState
from holdfast.model.keys import RunKeys
from holdfast_cli import words
from holdfast_cli.removing import run_removal
from holdfast_cli.session import Session, session

_STYLES = {
    Outcome.KEPT: "green",
    Outcome.DUE: "yellow",
    Outcome.REMOVED: "dim",
    Outcome.LOCKED: "yellow",
    Outcome.LOST: "bold red",
}
_TOLD = {
    Outcome.KEPT: "kept",
    Outcome.DUE: "to be removed",
    Outcome.REMOVED: "removed",
    Outcome.LOCKED: "still protected",
    Outcome.LOST: "lost at the provider",
}


def prune(
    context: typer.Context,
    database: Annotated[str, typer.Argument(help="A database of holdfast.toml.", show_default=False)],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only explain; this is what happens without --yes.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove for ever what the policy lets go.")] = False,
) -> None:
    """Explain for each recovery point whether it stays, or with --yes remove those whose time is over."""
    here = session(context)
    output = run_removal(here, "prune", database, dry_run=dry_run, yes=yes)
    pruned = Pruned.model_validate(output)
    judged = _judged(here, pruned)
    facts = {**pruned.model_dump(mode="json"), "points": [one.model_dump(mode="json") for one in judged]}
    here.screen.result(facts, lambda: _screen(pruned, judged, flags=here.flags))


def _judged(here: Session, pruned: Pruned) -> Sequence[Judged]:
    body = here.system.scratch.read(RunKeys("prune", pruned.run).document("decisions.json"))
    if body is None:
        raise UnexpectedState(f"The run {pruned.run} has left no decisions.", run=pruned.run)
    return Decisions.model_validate_json(body).judged


def _screen(pruned: Pruned, judged: Sequence[Judged], *, flags: str) -> RenderableType:
    table = Table(title=f"Recovery points of {pruned.database}", title_justify="left", box=None, pad_edge=False)
    for heading in ("POINT", "TIER", "MECHANISM", "DECISION", "WHY"):
        table.add_column(heading, no_wrap=heading != "WHY")
    for one in judged:
        style, why = _STYLES[one.outcome], escape(f"{one.why} {one.note}".strip())
        table.add_row(one.point_id, one.tier, one.mechanism, f"[{style}]{_TOLD[one.outcome]}[/]", why)
    parts: list[RenderableType] = [table, "", ", ".join(_counted(pruned.counts))]
    if pruned.dry_run and pruned.counts[Outcome.DUE]:
        parts.append(f"Nothing was removed: `holdfast{flags} prune {pruned.database} --yes` removes it.")
    return Group(*parts)


def _counted(counts: dict[Outcome, Any]) -> Sequence[str]:
    told = [f"{words.number(counts[outcome])} {_TOLD[outcome]}" for outcome in Outcome if counts.get(outcome)]
    return told or ["There are no recovery points."]
