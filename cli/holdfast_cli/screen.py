"""Output: results on standard output, everything else on standard error; for programs one JSON object."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape

from holdfast.errors import HoldfastError

WIDTH_OF_A_PIPE = 250
WIDE = 120


class Screen:
    """Where the command prints; with *as_json* standard output carries one JSON object and nothing else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self.out = console(stderr=False)
        self.err = console(stderr=True)

    @property
    def wide(self) -> bool:
        """Whether a table with every column fits."""
        return self.out.width >= WIDE

    def result(self, facts: Mapping[str, Any], show: Callable[[], RenderableType]) -> None:
        """Print the result of a command: *facts* for programs, what *show* returns for people."""
        if self.as_json:
            self.out.out(json.dumps(facts, default=_plain, ensure_ascii=False, indent=2), highlight=False)
        else:
            self.out.print(show())

    def note(self, text: str) -> None:
        """Tell people what happens meanwhile; programs do not see it on standard output."""
        self.err.print(text, soft_wrap=True)

    def error(self, error: HoldfastError) -> None:
        """Print what went wrong and what to do about it."""
        if self.as_json:
            facts = {"error": type(error).__name__, "message": error.message, "hint": error.hint, "ids": error.ids}
            self.out.out(json.dumps(facts, default=_plain, ensure_ascii=False, indent=2), highlight=False)
            return
        self.err.print(f"[bold red]✘[/] {escape(error.message)}", soft_wrap=True)
        if error.hint:
            self.err.print(f"  {escape(error.hint)}", soft_wrap=True)
        for name, value in error.ids.items():
            listed = (
                [f"{name}:", *(f"  - {each}" for each in value)] if isinstance(value, list) else [f"{name}: {value}"]
            )
            for line in listed:
                self.err.print(f"  [dim]{escape(line)}[/]", soft_wrap=True)


def console(*, stderr: bool) -> Console:
    """Return a console that cuts nothing off where nobody looks: a pipe has no width."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=WIDTH_OF_A_PIPE)


def _plain(value: object) -> Any:
    """Return what JSON has for a value that it does not know."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
