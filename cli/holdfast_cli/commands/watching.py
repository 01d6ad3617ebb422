"""`holdfast watch RUN`."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast_cli.commands.restore import proof_table, show_plan
from holdfast_cli.errors import UnknownRun
from holdfast_cli.reports import is_restore, notes_on
from holdfast_cli.runs import Run
from holdfast_cli.session import Session, session


def watch(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="The name or ARN of a run.", show_default=False)],
) -> None:
    """Show a run until it ends, whoever started it."""
    here = session(context)
    found = _find(here, run)
    only_plan = bool(found.input.get("plan_only"))
    ended = here.wait(found.arn, tell_plan=not only_plan)
    if only_plan:
        show_plan(here, ended)
        return
    facts = {"execution": ended.arn, "status": ended.status, "output": ended.output}
    if is_restore(ended.arn) and {"report", "proof"} <= ended.output.keys():
        notes = notes_on(here.system, ended)
        here.screen.result({**facts, "notes": notes}, lambda: proof_table(ended, notes))
    else:
        here.screen.result(facts, lambda: f"{ended.name} has succeeded.")


def _find(here: Session, name: str) -> Run:
    """Return the execution of this name in whichever machine has it."""
    if name.startswith("arn:"):
        return here.system.runs.get(name)
    for machine in here.system.machines():
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            return here.system.runs.get(arn)
        except UnknownRun:
            continue
    raise UnknownRun(f"There is no run {name}.")
