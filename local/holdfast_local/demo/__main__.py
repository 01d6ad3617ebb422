"""`python -m holdfast_local.demo`: back up, prove, lose, restore and prove again, in one go."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg
from rich.markup import escape

import holdfast
from holdfast.errors import HoldfastError
from holdfast_cli.screen import console
from holdfast_cli.system import System
from holdfast_local.demo import page, seed, stage
from holdfast_local.demo.report import PROVEN, Report
from holdfast_local.demo.screen import Screen
from holdfast_local.demo.stage import DATABASE, Stage
from holdfast_local.demo.story import Story
from holdfast_local.demo.timeline import Timeline
from holdfast_local.postgres import Server
from holdfast_local.system import state_option

DIRECTORY = Path(".holdfast/demo")
REFUSED = 5
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the story and write the report; 0 only when everything is proven."""
    options = _options(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    screen = Screen(console(stderr=False))
    try:
        with stage.alone(options.directory.resolve()):
            return _play(options, screen)
    except stage.DemoAlreadyRunning as error:
        screen.console.print(f"{escape(error.message)} {error.hint}", soft_wrap=True)
        return REFUSED


def _play(options: argparse.Namespace, screen: Screen) -> int:
    report = Report(started_at=datetime.now(UTC), versions=_versions())
    timeline = Timeline(screen.tell)
    try:
        _perform(options, timeline, report)
    except KeyboardInterrupt:
        screen.close()
        screen.console.print("Stopped; everything that was started is down.")
        return INTERRUPTED
    except (HoldfastError, psycopg.Error) as error:
        report.error = " ".join(str(error).split())
    finally:
        screen.close()
    report.steps, report.seconds = timeline.steps, timeline.seconds
    report.judge()
    report.write(options.directory / "report.json")
    page.write(report, options.directory / "index.html")
    screen.conclude(report)
    screen.console.print(f"\nThe report: {options.directory / 'index.html'}", soft_wrap=True)
    if options.keep:
        reached = state_option(options.directory / stage.SYSTEM, Path.cwd())
        screen.console.print(
            f"Still up: `holdfast --local{reached} status`; stop with `holdfast local down{reached}`.", soft_wrap=True
        )
    return 0 if report.status == PROVEN else 1


def _perform(options: argparse.Namespace, timeline: Timeline, report: Report) -> None:
    directory: Path = options.directory.resolve()
    with stage.cleared(directory, keep=options.keep), stage.server(directory, keep=options.keep) as server:
        report.versions["server"] = _server_version(server)
        with ThreadPoolExecutor(1) as pool:
            raised = pool.submit(_raise_system, directory, server, timeline, keep=options.keep)
            with timeline.step("Create the application's database") as step:
                seed.create(server, DATABASE, megabytes=options.size_mb)
                step.bytes = seed.size(server.url(DATABASE))
            system = raised.result()
        Story(Stage(server, system), timeline, report).play()


def _raise_system(directory: Path, server: Server, timeline: Timeline, *, keep: bool) -> System:
    deployed: list[str] = []
    with timeline.step("Build, start and deploy the local system") as step:
        system = stage.raise_system(directory, server, keep=keep, report=deployed.append)
        step.note = f"{sum('deployed' in line for line in deployed)} stacks"
    return system


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m holdfast_local.demo", description=__doc__)
    parser.add_argument(
        "--size-mb",
        type=int,
        default=300,
        help="what the database takes on its server, with indexes and about 10 MB that an empty one takes; "
        "its rows as text are less (default: 300, least: 11)",
    )
    parser.add_argument(
        "--directory", type=Path, default=DIRECTORY, help=f"where everything lies (default: {DIRECTORY})"
    )
    parser.add_argument("--keep", action="store_true", help="leave server and local system up")
    return parser.parse_args(arguments)


def _versions() -> dict[str, str]:
    return {
        "holdfast": holdfast.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "local cloud": f"ministack {version('ministack')}, moto {version('moto')}",
    }


def _server_version(server: Server) -> str:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return f"PostgreSQL {row[0]}" if row else "PostgreSQL"


def _interrupt(*_: object) -> None:
    """Begin to clean up, which a second signal does not interrupt: what was started must not be left behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
