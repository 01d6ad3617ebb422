"""What made an execution fail, as an error of our tree: its sentence, its remedy, its exit code."""

from __future__ import annotations

import json
import re
from typing import Any

from holdfast import errors
from holdfast.errors import HoldfastError
from holdfast_cli.errors import RunFailed

_LONGEST = 500
# What Step Functions and Lambda say themselves when no class of ours was raised.
_SENTENCES = {
    "States.Timeout": "A step took longer than its limit.",
    "States.HeartbeatTimeout": "A step sent no sign of life in time.",
    "States.ExceedToleratedFailureThreshold": "A batch failed.",
    "States.DataLimitExceeded": "A message between two steps was too large.",
    "Sandbox.Timedout": "A function reached its time limit.",
    "Runtime.OutOfMemory": "A function ran out of memory.",
    "Runtime.ExitError": "A function ended unexpectedly.",
    "Aborted": "Somebody stopped the run.",
}
_RAISED_BY_THE_MACHINE = {"RestoreNotProven", "ValidationFailed"}
_QUOTING = {"ProgramFailed", "UnexpectedState"}
"""Their messages quote what a program said, which has sentences of its own."""
_REMEDY = re.compile(r"(?P<sentence>.+?[.!?]) (?P<remedy>[A-Z`].*)")


def failure(name: str, cause: str, **ids: object) -> HoldfastError:
    """
    Return the error that *name* and *cause* of a failed execution stand for.

    *name* is the class that a function raised, or one of Step Functions' own. *cause* is what Lambda
    made of the exception (JSON with `errorMessage`), or plain text.
    """
    name, cause = _innermost(name, cause)
    message = _message(cause)
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, HoldfastError):
        sentence, hint = _parted(known, message)
        return known(sentence or f"The run failed with {name}.", hint=hint, **ids)
    sentence = _SENTENCES.get(name, f"The run failed with {name or 'no reason given'}.")
    return RunFailed(f"{sentence} {_first_line(message)}".strip(), hint=None, **ids)


def _parted(known: type[HoldfastError], message: str) -> tuple[str, str]:
    """
    Return sentence and remedy, which `str` of an error puts together.

    The remedy is the class's own, or follows the first sentence. What the machine itself raises has none in its cause.
    """
    if known.__name__ in _RAISED_BY_THE_MACHINE or (known.hint and message.endswith(known.hint)):
        return message.removesuffix(known.hint).strip(), known.hint
    parted = None if known.__name__ in _QUOTING or "\n" in message else _REMEDY.fullmatch(message)
    return (parted["sentence"], parted["remedy"]) if parted else (message, "")


def _innermost(name: str, cause: str) -> tuple[str, str]:
    """Return error and cause of the nested execution that failed; of it, only `States.TaskFailed` is told outside."""
    try:
        found: Any = json.loads(cause)
    except ValueError:
        return name, cause
    if isinstance(found, dict) and isinstance(found.get("Error"), str):
        return _innermost(found["Error"], str(found.get("Cause") or ""))
    return name, cause


def _message(cause: str) -> str:
    """Return the text in *cause*, unpacked from as many layers of JSON as it was wrapped in."""
    try:
        found: Any = json.loads(cause)
    except ValueError:
        return cause.strip()
    if isinstance(found, dict):
        inner = found.get("errorMessage") or found.get("Cause") or found.get("cause")
        return _message(inner) if isinstance(inner, str) else ""
    return cause.strip()


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
