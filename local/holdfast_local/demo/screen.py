"""What happened, in the terminal: steps as they end, then the tables and the verdict."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from holdfast_cli import words
from holdfast_local.demo.report import PROVEN, Report
from holdfast_local.demo.timeline import Step

LARGEST_TABLES = 8


class Screen:
    """The terminal, or a log: one line per step, with a spinner only where somebody looks."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status = console.status("")
        self._running: list[str] = []

    def tell(self, step: Step) -> None:
        """Show a step that begins as running, and one that ended with its time."""
        if step.seconds is None:
            self._running.append(step.name)
        else:
            self._running.remove(step.name)
            self.console.print(_line(step), soft_wrap=True)
            for name, _, seconds in step.details:
                self.console.print(f"           [dim]{words.duration(seconds):>10}  {escape(name)}[/]", soft_wrap=True)
        if self._running:
            self._status.update(f"{self._running[-1]} …")
            self._status.start()
        else:
            self._status.stop()

    def close(self) -> None:
        """Give the terminal back."""
        self._status.stop()

    def conclude(self, report: Report) -> None:
        """Print the largest tables, the checks and the verdict."""
        self.close()
        self.console.print()
        if report.tables:
            self.console.print(_tables(report))
            self.console.print()
        for check in report.checks:
            mark = "[green]✔[/]" if check.passed else "[bold red]✘[/]"
            detail = f" [dim]({escape(check.detail)})[/]" if check.detail else ""
            self.console.print(f"{mark} {escape(check.name)}{detail}", soft_wrap=True)
        self.console.print()
        self.console.print(_verdict(report), soft_wrap=True)


def _line(step: Step) -> str:
    moved = f", {words.size(step.bytes)} at {words.size(step.rate)}/s" if step.bytes else ""
    told = f"{step.note}{moved}".removeprefix(", ")
    note = f"  [dim]{escape(told)}[/]" if told else ""
    return f"[dim]{step.begin:7.1f} s[/] {words.duration(step.seconds or 0):>10}  [bold]{escape(step.name)}[/]{note}"


def _tables(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("TABLE", no_wrap=True)
    for heading in ("SOURCE", "ARCHIVE", "RESTORED", "DATA", "STORED"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("DIGEST", no_wrap=True)
    table.add_column("", no_wrap=True)
    largest = sorted(report.tables, key=lambda each: each.bytes_plain, reverse=True)
    for each in largest[:LARGEST_TABLES] + [each for each in largest[LARGEST_TABLES:] if not each.equal]:
        rows = ["-" if count is None else words.number(count) for count in each.rows.values()]
        mark = "[green]✔ equal[/]" if each.equal else "[bold red]✘ differs[/]"
        digest = f"{(each.digest['archive'] or '-')[:12]}…"
        table.add_row(
            escape(each.name), *rows, words.size(each.bytes_plain), words.size(each.bytes_stored), digest, mark
        )
    if (more := len(report.tables) - LARGEST_TABLES) > 0:
        equal = sum(each.equal for each in largest[LARGEST_TABLES:])
        table.add_row(f"[dim]and {more} more, {equal} of them equal[/]")
    return table


def _verdict(report: Report) -> str:
    taken = words.duration(report.seconds)
    if report.status != PROVEN:
        faults = "\n".join(f"  {escape(fault)}" for fault in report.faults)
        return f"[bold red]✘ {report.status} after {taken}[/]\n{faults}"
    equal = f"{len(report.tables)} tables and {words.number(report.rows)} rows"
    sizes = f"{words.size(report.bytes['plain'])} of rows in {words.size(report.bytes['stored'])}"
    return (
        f"[bold green]✔ Proven in {taken}[/]: {equal} are the same in source, archive and restored database ({sizes})."
    )
