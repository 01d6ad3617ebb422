"""What every command shares: the global options, the screen and the system that it speaks to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import typer

from holdfast_cli import system
from holdfast_cli.errors import Detached
from holdfast_cli.lasting import Lasting
from holdfast_cli.plans import Planned
from holdfast_cli.reports import failure_of, is_restore
from holdfast_cli.runs import Look, Run
from holdfast_cli.screen import Screen
from holdfast_cli.system import System
from holdfast_cli.watch import watch

if TYPE_CHECKING:
    from holdfast.ports.storage import Scratch


@dataclass
class Session:
    """One call of the command."""

    local: bool
    config: Path | None
    screen: Screen
    state: Path | None = None
    """Where the local system's state lies; None: where it is found from here."""
    region: str | None = None
    """The region that is spoken to; None: the first of the configuration."""

    @cached_property
    def system(self) -> System:
        """Connect to the system when a command first needs it."""
        found = system.on_this_machine(self.config, self.state) if self.local else system.in_aws(self.config)
        return found.in_region(self.region) if self.region else found

    @property
    def flags(self) -> str:
        """Return the global options as they have to be repeated in a suggestion."""
        config = f" --config {quote(str(self.config))}" if self.config else ""
        state = f" --state {quote(str(self.state))}" if self.state else ""
        region = f" --region {quote(self.region)}" if self.region else ""
        return (" --local" if self.local else "") + region + state + config

    def wait(self, execution: str, *, tell_plan: bool = True) -> Run:
        """Show the run until it ends; raises what made it fail, and `Detached` when the caller has seen enough."""
        look = self._look(execution)
        try:
            run = watch(look if tell_plan else replace(look, plan=tuple), self.screen.err, every=self.system.look_every)
        except KeyboardInterrupt:
            name = execution.rpartition(":")[2]
            hint = f"`holdfast{self.flags} watch {name}` shows it again."
            raise Detached(f"Stopped watching; run {name} goes on.", hint=hint, execution=execution) from None
        if run.status != "SUCCEEDED":
            raise failure_of(self.system, run)
        return run

    def _scratch(self) -> Scratch:
        return self.system.scratch

    def _look(self, execution: str) -> Look:
        look = self.system.runs.look(execution)
        if is_restore(execution):
            lasting, planned = Lasting(self._scratch, execution), Planned(self._scratch, execution)
            return replace(look, lasting=lasting.now, plan=planned.lines)
        return look


def session(context: typer.Context) -> Session:
    """Return the session of this call."""
    found: Session = context.find_root().obj
    return found
