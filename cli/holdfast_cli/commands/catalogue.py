"""`holdfast catalogue rebuild [DB]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from holdfast.contracts.rebuilding import Rebuilt
from holdfast_cli import words
from holdfast_cli.session import session

app = typer.Typer(help="The catalogue of recovery points.", no_args_is_help=True)


@app.callback()
def _options() -> None:
    """Work on the catalogue of recovery points."""


@app.command()
def rebuild(
    context: typer.Context,
    database: Annotated[str | None, typer.Argument(help="Only this database.", show_default=False)] = None,
) -> None:
    """Add what lies in the archive, and is authentic, to a catalogue that does not know of it."""
    here = session(context)
    system = here.system
    names = [system.database(database).name] if database else sorted(system.configuration.databases)
    machine = system.machine("rebuild")
    started = [system.runs.start(machine, {"database": name}, label=f"rebuild-{name}") for name in names]
    found = [Rebuilt.model_validate(dict(here.wait(execution).output)) for execution in started]
    here.screen.result({"databases": [one.model_dump(mode="json") for one in found]}, lambda: _screen(found))


def _screen(found: Sequence[Rebuilt]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for heading in ("DATABASE", "INTACT", "TO BE VERIFIED", "KNOWN BEFORE", "LEFT OUT"):
        table.add_column(heading, no_wrap=True)
    for one in found:
        counts = (len(one.intact), len(one.captured), one.known, len(one.left_out))
        table.add_row(f"[bold]{one.database}[/]", *map(words.number, counts))
    left = [f"[yellow]{each.point}[/] left out: {escape(each.reason)}" for one in found for each in one.left_out]
    return Group(table, *left)
