"""`holdfast provider DB`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from holdfast.errors import BadRequest
from holdfast.model.provider_settings import Judgement, Setting, Standing, changes, judge
from holdfast.usecases.provider_settings import wanted_of
from holdfast_cli.session import Session, session

_STYLES = {Standing.GOOD: "green", Standing.WEAK: "yellow", Standing.BAD: "bold red"}


def provider(
    context: typer.Context,
    database: Annotated[str, typer.Argument(help="A database of holdfast.toml.", show_default=False)],
    apply: Annotated[bool, typer.Option("--apply", help="Set at the provider what is offered.")] = False,
    confirm: Annotated[
        str | None, typer.Option(help="The database's name again, in place of being asked for it.", show_default=False)
    ] = None,
) -> None:
    """Judge how the provider keeps the database, and with --apply set what its tiers need."""
    here = session(context)
    found = _judged(here, database)
    if apply and changes(found):
        _show(here, database, found)
        _refuse_unconfirmed(here, database, confirm)
        here.system.providers.of(here.system.database(database)).apply(changes(found))
        found = _judged(here, database)
        here.screen.note("The changes are with the provider; some take effect within minutes only.")
    here.screen.result(_facts(database, found), lambda: _table(here, database, found))


def _judged(here: Session, name: str) -> tuple[Judgement, ...]:
    database = here.system.database(name)
    wanted = wanted_of(database, here.system.configuration.holdfast.second_region)
    return judge(here.system.providers.of(database).settings(), wanted)


def _show(here: Session, database: str, found: Sequence[Judgement]) -> None:
    if not here.screen.as_json:
        here.screen.err.print(_table(here, database, found))


def _refuse_unconfirmed(here: Session, database: str, confirmed: str | None) -> None:
    """Raise unless the caller has said, or says now, the name of the database whose provider is to be changed."""
    if confirmed is None:
        if here.screen.as_json or not sys.stdin.isatty():
            raise BadRequest(
                f"What is set at the provider of {database} has to be confirmed.",
                hint=f"Say --confirm {database}.",
            )
        confirmed = typer.prompt(f"Type {database} to set this at its provider", err=True)
    if confirmed != database:
        raise BadRequest(f"Nothing was set: {confirmed!r} is not {database}.", hint="Give the database's own name.")


def _facts(database: str, found: Sequence[Judgement]) -> dict[str, object]:
    return {"database": database, "settings": [asdict(each) for each in found]}


def _table(here: Session, database: str, found: Sequence[Judgement]) -> RenderableType:
    table = Table(title=f"How the provider keeps {database}", title_justify="left", box=None, pad_edge=False)
    for heading in ("SETTING", "NOW", "STANDING", "WHY", "OFFERED"):
        table.add_column(heading, no_wrap=heading not in {"WHY", "OFFERED"})
    for each in found:
        style, why = _STYLES[each.standing], escape(f"{each.sentence} {each.remedy}".strip())
        offered = _told(each.change) if each.change else ""
        table.add_row(each.setting.name, _told(each.setting), f"[{style}]{each.standing}[/]", why, offered)
    if not changes(found):
        return table
    return Group(table, "", f"`holdfast{here.flags} provider {database} --apply` sets what is offered.")


def _told(setting: Setting) -> str:
    if isinstance(setting.value, bool):
        return "yes" if setting.value else "no"
    if setting.name.endswith("seconds"):
        return str(timedelta(seconds=int(setting.value)))
    return str(setting.value)
