"""`holdfast points DB`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from holdfast.model.points import RecoveryPoint
from holdfast_cli import words
from holdfast_cli.commands.show import facts_of
from holdfast_cli.session import session


def points(
    context: typer.Context,
    database: Annotated[str, typer.Argument(help="A database of holdfast.toml.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="Show at most so many, the newest.")] = 30,
) -> None:
    """List the recovery points of a database, newest first."""
    here = session(context)
    here.system.database(database)
    found = here.system.points.newest_first(database, limit=limit)
    facts = {"database": database, "points": [facts_of(point) for point in found]}
    here.screen.result(facts, lambda: _table(database, found) if found else f"{database} has no recovery point yet.")


def _table(database: str, found: Sequence[RecoveryPoint]) -> Table:
    now = datetime.now(UTC)
    table = Table(title=f"Recovery points of {database}", title_justify="left", box=None, pad_edge=False)
    for heading in ("POINT", "STATE", "TIER", "TAKEN"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ROWS", "DATA", "STORED", "NEW"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("NOTE", overflow="fold")
    for point in found:
        sizes = [words.size(count) for count in (point.bytes_plain, point.bytes_stored, point.bytes_new)]
        table.add_row(
            point.id,
            words.state(point.state),
            point.tier.value,
            words.age(point.taken_at, now),
            words.number(point.rows),
            *sizes,
            point.failure or point.reason,
        )
    return table
