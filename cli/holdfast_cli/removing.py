"""Commands that tell what would be removed for ever, and do it with --yes alone."""

from __future__ import annotations

from typing import Any

from holdfast.errors import BadRequest
from holdfast_cli.session import Session


def run_removal(here: Session, machine: str, database: str, *, dry_run: bool, yes: bool) -> dict[str, Any]:
    """Run the *machine* over the *database* to its end, removing only with *yes*, and return its output."""
    if dry_run and yes:
        raise BadRequest("--dry-run and --yes exclude each other.")
    system, name = here.system, here.system.database(database).name
    request = {"database": name, "dry_run": not yes}
    execution = system.runs.start(system.machine(machine), request, label=f"{machine}-{name}")
    return dict(here.wait(execution).output)
