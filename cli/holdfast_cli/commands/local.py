"""`holdfast local up|down|status`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from holdfast.configuration import load
from holdfast.errors import BadConfiguration
from holdfast_cli.errors import Interrupted
from holdfast_cli.session import Session, session
from holdfast_cli.system import CONFIGURATION_FILE

if TYPE_CHECKING:
    from holdfast_local.system import LocalSystem

app = typer.Typer(help="Run the whole system on this machine.", no_args_is_help=True)

StateOption = Annotated[
    Path | None, typer.Option(help="Where its state lies; default: .holdfast/local beside the configuration.")
]


@app.command()
def up(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="holdfast.toml; default: the one in this directory.")] = None,
    state: StateOption = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(help="Less time for a function than in AWS, in seconds: snapshot.hold=20. Repeatable."),
    ] = None,
) -> None:
    """Start the local system, or bring it up to date with a changed configuration."""
    from holdfast_local import system

    here, state = _with_state(context, state)
    file = config or here.config or Path(CONFIGURATION_FILE)
    try:
        found = system.up(
            file,
            directory=state,
            environment=os.environ,
            limits=limit or (),
            report=lambda line: here.screen.note(f"  {line}"),
        )
    except KeyboardInterrupt:
        sentence = "Interrupted; a system that was starting is stopped again, one that was running goes on."
        raise Interrupted(sentence, hint="`holdfast local up` begins again.") from None
    here.screen.result(_facts(found), lambda: _table(found))


@app.command()
def down(context: typer.Context, state: StateOption = None) -> None:
    """Stop the local system with everything that it started; its archive and catalogue are gone then."""
    from holdfast_local import system

    here, state = _with_state(context, state)
    directory = state or _nearest(here)
    ran = system.down(directory) if directory else False
    here.screen.result({"stopped": ran}, lambda: "The local system is down." if ran else "No local system was running.")


@app.command()
def status(context: typer.Context, state: StateOption = None) -> None:
    """Say what runs where."""
    from holdfast_local import system

    here, state = _with_state(context, state)
    found = system.require(state) if state else system.find(_start(here))
    here.screen.result(_facts(found), lambda: _table(found))


def _with_state(context: typer.Context, state: Path | None) -> tuple[Session, Path | None]:
    """Return the session, and the state's directory, whether it was given before or after the command."""
    here = session(context)
    return here, state or here.state


def _start(here: Session) -> Path:
    return here.config.parent if here.config else Path.cwd()


def _nearest(here: Session) -> Path | None:
    """Return the nearest directory with a system's state, running or not."""
    from holdfast_local import system

    return next((place for place in system.places(_start(here)) if (place / system.STATE).exists()), None)


def _facts(found: LocalSystem) -> dict[str, Any]:
    names = ("directory", "configuration", "endpoint", "region", "account", "log")
    return {name: str(getattr(found, name)) for name in names} | {"databases": _databases(found)}


def _table(found: LocalSystem) -> Table:
    from holdfast_local.system import state_option

    databases, state = _databases(found), state_option(found.directory, Path.cwd())
    table = Table.grid(padding=(0, 3))
    rows = {
        "local cloud": found.endpoint,
        "region": found.region,
        "configuration": str(found.configuration),
        "state": str(found.directory),
        "log": str(found.log),
        "databases": ", ".join(databases) or "none",
        "back up": f"holdfast --local{state} backup {databases[0]} --wait" if databases else "",
        "stop": f"holdfast local down{state}",
    }
    for name, value in rows.items():
        if value:
            table.add_row(f"[dim]{name}[/]", value)
    return table


def _databases(found: LocalSystem) -> list[str]:
    try:
        return sorted(load(found.configuration).databases)
    except BadConfiguration:  # it was moved or broken since; what runs still runs
        return []
