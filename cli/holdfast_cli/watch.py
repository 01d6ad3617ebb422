"""Show a running execution: a table that grows on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from holdfast.contracts.restoring import Progress
from holdfast_cli import words
from holdfast_cli.runs import Look, Run
from holdfast_cli.steps import Step

BAR_WIDTH = 24
LOGGED_SECONDS = 60


def watch(look: Look, console: Console, *, every: float) -> Run:
    """
    Show the execution until it ends, looking again each *every* seconds, and return how it ended.

    Ctrl-C raises `KeyboardInterrupt` as usual: the run itself goes on.
    """
    return _watch_live(look, console, every) if console.is_terminal else _watch_plain(look, console, every)


def _watch_live(look: Look, console: Console, every: float) -> Run:
    with Live(console=console, auto_refresh=False, transient=False) as live:
        told = False
        while True:
            run = look.run()
            if not told and (plan := look.plan()):
                told = _tell_plan(plan, live.console)
            live.update(_table(look.steps(), run, look.lasting() if run.running else ()), refresh=True)
            if not run.running:
                return run
            time.sleep(every)


def _watch_plain(look: Look, console: Console, every: float) -> Run:
    printed: dict[Hashable, str] = {}

    def tell(subject: Hashable, mark: str, line: str) -> None:
        """Print *line* unless *mark* says that the same has been told of its subject."""
        if printed.get(subject) != mark:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
            printed[subject] = mark

    planned = False
    while True:
        run = look.run()
        if not planned and (plan := look.plan()):
            planned = _tell_plan(plan, console)
        for position, step in enumerate(look.steps()):
            tell(position, _line(step), _line(step))
        for each in look.lasting() if run.running else ():
            # A log wants a line a minute, not each second that has passed.
            mark = f"{each.sentence.partition(':')[0]} {each.seconds // LOGGED_SECONDS}"
            tell((each.stage, each.batch), mark, f"{each.seen_at.astimezone(UTC):%H:%M:%S}    {each.sentence}")
        if not run.running:
            return run
        time.sleep(every)


def _tell_plan(plan: Iterable[str], console: Console) -> bool:
    """Print the plan, above the table where there is one, and say that it is told."""
    for line in plan:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return True


def _line(step: Step) -> str:
    """Return a step as one line for a log; it changes only when the step does."""
    taken = f", {words.duration((step.left_at - step.entered_at).total_seconds())}" if step.left_at else ""
    items = f", {step.done} of {step.total}" if step.total else ""
    return f"{step.entered_at.astimezone(UTC):%H:%M:%S}  {'  ' * step.depth}{step.name}{items}{taken}"


def _table(steps: Iterable[Step], run: Run, lasting: Iterable[Progress]) -> Table:
    """Return the steps, and below them what takes long in the last one."""
    now = datetime.now(UTC)
    table = Table.grid(padding=(0, 2))
    for step in steps:
        table.add_row(_mark(step, run), Text("  " * step.depth + step.name), _bar(step), _taken(step, run, now))
    for each in lasting:
        table.add_row("", Text(f"  {each.sentence}", style="dim"), _part(each), "")
    return table


def _part(progress: Progress) -> ProgressBar | Text:
    if progress.percent is None:
        return Text("")
    return ProgressBar(total=100, completed=progress.percent, width=BAR_WIDTH)


def _mark(step: Step, run: Run) -> Text:
    if step.left_at is not None:
        return Text("✔", style="green")
    return Text("▸", style="cyan") if run.running else Text("✘", style="bold red")


def _bar(step: Step) -> Table | Text:
    if not step.total:
        return Text("")
    bar = Table.grid(padding=(0, 1))
    bar.add_row(ProgressBar(total=step.total, completed=step.done or 0, width=BAR_WIDTH), f"{step.done}/{step.total}")
    return bar


def _taken(step: Step, run: Run, now: datetime) -> Text:
    until = step.left_at or run.ended_at or now
    return Text(words.duration(max((until - step.entered_at).total_seconds(), 0)), style="dim", justify="right")
