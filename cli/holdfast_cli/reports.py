"""
What a restore's own report says beyond its sentence: what differs, and what else there is to know.

It is read for people, as it lies in the scratch bucket, and tolerantly: a report that is missing, or of another
version, must not hide how the restore ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError, RestoreAlreadyRunning, TargetNotEmpty
from holdfast.model.keys import RunKeys
from holdfast_cli.runs import Run

if TYPE_CHECKING:
    from holdfast_cli.system import System

REPORT = "report.json"
LEFT = "left"
"""The id of an error by which a target that is not as it was before is told."""
_PREPARE = "Prepare the target"
_LOADING = {"Load the rows", "Finish one stage"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a report lists, as sentences: what differs from the archive, and what else its reader should know."""

    bucket: str
    key: str
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def is_restore(execution: str) -> bool:
    """Tell an execution (its ARN) that restores by the name of its machine."""
    return "-restore-" in execution.split(":")[6]


def findings(system: System, run: Run) -> Findings | None:
    """Return what the report of the restore *run* found; None where there is none that can be read."""
    from holdfast.usecases.restore.naming import restore_id_of

    key = RunKeys("restore", restore_id_of(run.arn)).document(REPORT)
    try:
        bucket, body = system.scratch.bucket, system.scratch.read(key)
    except (HoldfastError, ClientError, BotoCoreError):
        return None
    return _read(bucket, key, body) if body else None


def notes_on(system: System, run: Run) -> tuple[str, ...]:
    """Return what there is to know about the restore *run*: all of it, or as much as the machine passed on."""
    found = findings(system, run)
    return found.notes if found and found.notes else _sentences(_object(run.output, "report"), "notes")


def failure_of(system: System, run: Run) -> HoldfastError:
    """Return why *run* failed; of a restore, with every difference, what it left behind and the place of its report."""
    error = run.failure()
    if not is_restore(run.arn):
        return error
    if _touched(system, run, error):
        error.ids[LEFT] = f"{run.input.get('into', 'the target')}, with what was restored until then, and not proven"
    if found := findings(system, run):
        error.ids |= {"bucket": found.bucket, "key": found.key}
        lists = {"differences": found.differences, "notes": found.notes}
        error.ids |= {name: list(sentences) for name, sentences in lists.items() if sentences}
    return error


def _touched(system: System, run: Run, error: HoldfastError) -> bool:
    """Answer whether the restore *run* may have changed its target before it met *error*."""
    entered = {step.name for step in system.runs.look(run.arn).steps()}
    refused_at_first = isinstance(error, (RestoreAlreadyRunning, TargetNotEmpty)) and not entered & _LOADING
    return _PREPARE in entered and not refused_at_first


def _read(bucket: str, key: str, body: bytes) -> Findings | None:
    try:
        report = json.loads(body)
    except ValueError:
        return None
    if not isinstance(report, dict):
        return None
    differences = _sentences(_object(report, "comparison"), "differences")
    return Findings(bucket=bucket, key=key, differences=differences, notes=_sentences(report, "notes"))


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _sentences(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    listed = found.get(name)
    return tuple(map(str, listed)) if isinstance(listed, list) else ()
