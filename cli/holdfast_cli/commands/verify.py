"""`holdfast verify POINT`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from holdfast.contracts.verify import Verdict
from holdfast.errors import BadRequest
from holdfast.model.points import PointState, refuse_without_archive
from holdfast_cli import words
from holdfast_cli.errors import Damaged
from holdfast_cli.session import session
from holdfast_cli.system import database_of_point

_UNVERIFIABLE = {PointState.CAPTURING, PointState.FAILED, PointState.EXPIRED}


def verify(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="The id of a recovery point.", show_default=False)],
    wait: Annotated[bool, typer.Option("--wait", help="Show the run until it ends.")] = False,
) -> None:
    """Read every byte of a recovery point back and compare it with the signed manifest."""
    here = session(context)
    database = database_of_point(point)
    here.system.database(database)
    found = here.system.points.get(point)
    refuse_without_archive(found)
    if found.state in _UNVERIFIABLE and not (found.state is PointState.FAILED and found.complete):
        raise BadRequest(
            f"Recovery point {point} is {found.state}: there is nothing to verify.",
            hint=f"`holdfast{here.flags} points {database}` lists the others.",
            point=point,
        )
    request = {"database": database, "point_id": point}
    execution = here.system.runs.start(here.system.machine("verify"), request, label=f"verify-{database}")
    if not wait:
        name = execution.rpartition(":")[2]
        facts = {"point": point, "execution": execution}
        here.screen.result(facts, lambda: f"Verification started. Look: holdfast{here.flags} watch {name}")
        return
    verdict = Verdict.model_validate(dict(here.wait(execution).output))
    if not verdict.intact:
        error = Damaged(f"Recovery point {point} is damaged. {verdict.reason}", point=point)
        faults = [f"{fault.what}: {fault.problem}" for fault in verdict.faults]
        # The reason has the first of them already.
        if more := [fault for fault in faults if fault not in verdict.reason]:
            error.ids["faults"] = more
        raise error
    here.screen.result(verdict.model_dump(mode="json"), lambda: _table(verdict))


def _table(verdict: Verdict) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_row("[dim]recovery point[/]", f"[bold]{verdict.point_id}[/]")
    table.add_row("[dim]verdict[/]", words.state(PointState.INTACT))
    table.add_row("[dim]read back[/]", f"{words.number(verdict.chunks)} chunks, {words.size(verdict.bytes_plain)}")
    return table
