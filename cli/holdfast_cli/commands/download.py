"""`holdfast download POINT`."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from holdfast.errors import BadConfiguration, ProgramFailed
from holdfast.model.keys import GLOBALS
from holdfast.usecases.download.directory import write_directory
from holdfast.usecases.download.source import Source, open_source
from holdfast.usecases.download.sql import roles_beside, write_sql
from holdfast_cli import words
from holdfast_cli.errors import Damaged
from holdfast_cli.session import Session, session
from holdfast_cli.system import database_of_point

_PROGRAMS = 18
_RESTORED_BY = {
    "directory": "pg_restore --exit-on-error -d DATABASE {}",
    "sql": "psql -X -v ON_ERROR_STOP=1 -d DATABASE -f {}",
}
_LEFT_OUT = {
    "directory": "the database's own settings, grants and owner, unless pg_restore makes it, with --create -d postgres",
    "sql": "the database's own settings, grants and owner; the form `directory` has them",
}


class Form(StrEnum):
    """What a download may be."""

    DIRECTORY = "directory"
    SQL = "sql"


def download(  # noqa: PLR0917  # typer makes arguments and options of parameters
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="The id of a recovery point.", show_default=False)],
    form: Annotated[Form, typer.Option("--as", help="directory: for pg_restore; sql: for psql.")] = Form.DIRECTORY,
    to: Annotated[
        Path | None, typer.Option(help="Where to; default: here, under the point's id.", show_default=False)
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="Only tables that match, with what they need; may be repeated.")
    ] = None,
    schema: Annotated[list[str] | None, typer.Option(help="Only schemas that match; may be repeated.")] = None,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Of a point that is damaged, the tables that are whole.")
    ] = False,
) -> None:
    """Write a recovery point to this machine, every byte checked, for pg_restore or psql."""
    here = session(context)
    here.system.database(database_of_point(point))
    found = here.system.points.get(point)
    target = to or Path(f"{found.id}.sql" if form is Form.SQL else found.id)
    started, faults, notes = time.monotonic(), tuple[str, ...](), tuple[str, ...]()
    source = open_source(found, archive=here.system.archive, signer=here.system.signer, damaged=damaged)
    if table or schema:
        source, notes = source.only(tables=table or (), schemas=schema or ())
    if damaged:
        source, faults = source.whole()
    _write(here, source, form, target)
    plain = sum(content.plain for content in source.manifest.contents)
    facts = {"point": found.id, "as": form, "path": target.absolute(), "bytes_plain": plain, "notes": list(notes)}
    if faults:
        raise Damaged(
            f"{target} is not complete: {found.id} is damaged, and {words.counted(len(faults), 'table')} of it "
            f"{'is' if len(faults) == 1 else 'are'} missing there.",
            hint="Restore it without --exit-on-error: foreign keys to what is missing cannot be made.",
            missing=list(faults),
            path=str(target.absolute()),
        )
    here.screen.result(facts, lambda: _told(form, target, plain, time.monotonic() - started, notes))


def _write(here: Session, source: Source, form: Form, target: Path) -> None:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    total = sum(content.plain for content in source.manifest.contents)
    with Progress(*columns, console=here.screen.err, transient=True, disable=not here.screen.err.is_terminal) as bar:
        task = bar.add_task(escape(source.point.id), total=total)
        watched = replace(source, told=lambda count: bar.advance(task, count))
        if form is Form.SQL:
            write_sql(watched, target, definitions=_definitions)
        else:
            write_directory(watched, target)


def _definitions(dump: bytes, section: str) -> bytes:
    """Return a section of a schema dump as SQL, written by pg_restore of our own packages."""
    try:
        from holdfast_local.postgres import locate

        program = locate(_PROGRAMS).path("pg_restore")
    except (ImportError, BadConfiguration) as error:
        raise BadConfiguration(
            "A file of SQL needs PostgreSQL's programs, which are not installed with this command.",
            hint="Install `holdfast[local]`; or download --as directory, and run `pg_restore --file=NAME.sql` on it.",
        ) from error
    with tempfile.NamedTemporaryFile(suffix=".dump") as file:
        file.write(dump)
        file.flush()
        done = subprocess.run(
            [str(program), f"--section={section}", "--file=-", file.name], capture_output=True, check=False
        )
    if done.returncode:
        raise ProgramFailed(f"pg_restore could not read the schema dump ({done.returncode}).")
    return done.stdout


def _told(form: Form, target: Path, plain: int, seconds: float, notes: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("Downloaded:", f"[bold]{escape(str(target))}[/]")
    table.add_row("Rows:", f"{words.size(plain)} as text, each chunk checked, in {words.duration(seconds)}")
    roles = roles_beside(target) if form is Form.SQL else target / GLOBALS
    steps = f"psql -X -d postgres -f {quote(str(roles))}", "createdb -T template0 DATABASE", _RESTORED_BY[form]
    for position, step in enumerate(steps, start=1):
        table.add_row("Restore it with:" if position == 1 else "", escape(step.format(quote(str(target)))))
    table.add_row("", "Roles that exist already are reported as errors, which does no harm.")
    table.add_row("Left out:", _LEFT_OUT[form])
    for note in notes:
        table.add_row("Note:", escape(note))
    return table
