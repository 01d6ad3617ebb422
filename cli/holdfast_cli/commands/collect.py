"""`holdfast collect DB`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from holdfast.contracts.retention import Amount, Collected
from holdfast_cli import words
from holdfast_cli.removing import run_removal
from holdfast_cli.session import session


def collect(
    context: typer.Context,
    database: Annotated[str, typer.Argument(help="A database of holdfast.toml.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; this is what happens without --yes.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove for ever what no recovery point pins.")] = False,
) -> None:
    """Count, or with --yes remove, the stored chunks of a database that no recovery point needs."""
    here = session(context)
    output = run_removal(here, "collect", database, dry_run=dry_run, yes=yes)
    found = Collected.model_validate(output)
    here.screen.result(found.model_dump(mode="json"), lambda: _table(found, flags=here.flags))


def _table(found: Collected, *, flags: str) -> Table:
    table = Table.grid(padding=(0, 3))
    rows = [
        ("database", f"[bold]{found.database}[/]"),
        ("needed", f"{_amount(found.pinned)}, pinned by {words.counted(found.manifests, 'manifest')}"),
        ("too new to judge", _amount(found.young)),
        ("unneeded", _amount(found.garbage)),
        *_outcome(found),
    ]
    for name, value in rows:
        table.add_row(f"[dim]{name}[/]", value)
    if found.dry_run and found.garbage.versions:
        table.add_row("", f"Nothing was removed: `holdfast{flags} collect {found.database} --yes` removes it.")
    return table


def _outcome(found: Collected) -> list[tuple[str, str]]:
    if found.dry_run:
        return []
    locked = f", the last until {words.clock(found.locked_until)}" if found.locked_until else ""
    return [("removed", _amount(found.removed)), ("still locked", _amount(found.locked) + locked)]


def _amount(amount: Amount) -> str:
    return f"{words.number(amount.versions)} chunks, {words.size(amount.bytes)}"
