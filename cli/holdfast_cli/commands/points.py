"""`holdfast points DB`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from holdfast.model.points import RecoveryPoint
from holdfast_cli import words
from holdfast_cli.commands.show import facts_of
from holdfast_cli.session import session

# Heading, whether it is aligned to the right, whether it is kept on a narrow terminal.
_COLUMNS = (
    ("POINT", False, True),
    ("STATE", False, True),
    ("KIND", False, True),
    ("MECHANISM", False, False),
    ("TIER", False, False),
    ("TAKEN", False, True),
    ("ROWS", True, False),
    ("DATA", True, True),
    ("STORED", True, True),
    ("NEW", True, False),
    ("SHARED", True, False),
    ("NOTE", False, False),
)


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
    here.screen.result(
        facts,
        lambda: _table(database, found, wide=here.screen.wide) if found else f"{database} has no recovery point yet.",
    )


def _table(database: str, found: Sequence[RecoveryPoint], *, wide: bool) -> Table:
    """Return the list; a narrow terminal gets the columns that decide which point to take."""
    now = datetime.now(UTC)
    table = Table(title=f"Recovery points of {database}", title_justify="left", box=None, pad_edge=False)
    for name, right, narrow in _COLUMNS:
        if wide or narrow:
            table.add_column(name, justify="right" if right else "left", no_wrap=name != "NOTE")
    for point in found:
        cells = _cells(point, now)
        table.add_row(*(cell for cell, (*_, narrow) in zip(cells, _COLUMNS, strict=True) if wide or narrow))
    return table


def _cells(point: RecoveryPoint, now: datetime) -> tuple[str, ...]:
    sizes = (
        words.size(count) for count in (point.bytes_plain, point.bytes_stored, point.bytes_new, point.bytes_shared)
    )
    taken = words.age(point.taken_at, now)
    state = words.state(point.state)
    note = escape("; ".join(filter(None, (_kept(point), point.selection, point.failure or point.reason))))
    means = point.mechanism.value
    return point.id, state, point.kind, means, point.tier.value, taken, words.number(point.rows), *sizes, note


def _kept(point: RecoveryPoint) -> str:
    """Return why the point is kept longer than others of its tier, if it is."""
    if point.protected:
        return f"protected: {words.protection(point)}"
    return f"kept until {words.clock(point.keep_until)}" if point.keep_until else ""
