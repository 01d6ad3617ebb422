"""The command line: global options, commands, and what an error becomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, TyperException

import holdfast
from holdfast.errors import BadRequest, HoldfastError, UnexpectedState
from holdfast_cli.commands import catalogue, local
from holdfast_cli.commands.backup import backup
from holdfast_cli.commands.collect import collect
from holdfast_cli.commands.download import download
from holdfast_cli.commands.points import points
from holdfast_cli.commands.protect import protect, unprotect
from holdfast_cli.commands.provider import provider
from holdfast_cli.commands.prune import prune
from holdfast_cli.commands.restore import restore
from holdfast_cli.commands.show import show
from holdfast_cli.commands.status import status
from holdfast_cli.commands.verify import verify
from holdfast_cli.commands.watching import watch
from holdfast_cli.exits import Exit, exit_code
from holdfast_cli.screen import Screen
from holdfast_cli.session import Session
from holdfast_cli.translation import for_operator

ANYWHERE = ("--local", "--json")
"""Global options that may also follow the command, where people tend to type them."""
REGION = "--region"
"""One more, which has a value."""

app = typer.Typer(
    name="holdfast",
    help="Back up, prove and restore PostgreSQL databases.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {holdfast.__version__}")
        raise typer.Exit


@app.callback()
def options(  # noqa: PLR0917  # typer makes options of parameters
    context: typer.Context,
    on_this_machine: Annotated[bool, typer.Option("--local", help="Speak to the local system, not to AWS.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="holdfast.toml; default: here, or what the local system runs with.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Where the local system's state lies, if not where it is found; implies --local."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="Speak to the system in this region: the first, or the second.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Take the global options."""
    del version  # its callback has answered
    context.obj = Session(
        local=on_this_machine or state is not None,
        config=config,
        screen=Screen(as_json=as_json),
        state=state,
        region=region,
    )


_COMMANDS = (
    *(backup, points, show, verify, restore, download, provider),
    *(protect, unprotect, prune, collect, status, watch),
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(local.app, name="local")
app.add_typer(catalogue.app, name="catalogue")


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; every error is one sentence and its remedy."""
    ordered = _ordered(arguments)
    screen = Screen(as_json="--json" in ordered)
    try:
        code = int(_command_line().main(ordered, prog_name="holdfast", standalone_mode=False) or Exit.OK)
        # Typer makes a code of Ctrl-C and says nothing.
        return _interrupted(screen) if code == Exit.DETACHED else code
    except (Abort, KeyboardInterrupt):
        return _interrupted(screen)
    except TyperException as error:
        return _usage(screen, error)
    except Exception as error:  # noqa: BLE001  # the outermost edge: whatever is left becomes a sentence
        return _failed(screen, error)


def _command_line() -> Any:
    return typer.main.get_command(app)


def _ordered(arguments: Sequence[str]) -> list[str]:
    """Return *arguments* with the global options that may stand anywhere first, and the region's with its value."""
    first: list[str] = []
    others: list[str] = []
    valued = False
    for argument in arguments:
        own = valued or argument in {*ANYWHERE, REGION} or argument.startswith(f"{REGION}=")
        (first if own else others).append(argument)
        valued = argument == REGION
    return [*first, *others]


def _failed(screen: Screen, error: Exception) -> int:
    if found := for_operator(error):
        error = found
    if not isinstance(error, HoldfastError):
        kind = type(error).__name__
        error = UnexpectedState(f"The command failed with {kind}: {error}", hint="This is a defect; please report it.")
        screen.error(error)
        return Exit.DEFECT
    screen.error(error)
    return exit_code(error)


def _usage(screen: Screen, error: TyperException) -> int:
    if message := error.format_message():  # empty when the help was asked for and has been printed
        screen.error(BadRequest(message, hint="`holdfast --help` and `holdfast COMMAND --help` tell what there is."))
    return Exit.USAGE


def _interrupted(screen: Screen) -> int:
    screen.note("\nInterrupted; runs that were started go on. `holdfast status` shows them.")
    return Exit.DETACHED
