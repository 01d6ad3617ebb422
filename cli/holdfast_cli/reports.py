"""
What a restore's own report says beyond its sentence: what differs, what was left out, what to know.

It is read for people, as it lies in the scratch bucket, and tolerantly: a report that is missing, or of another
version, must not hide how the restore ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from holdfast.errors import HoldfastError
from holdfast.model.keys import RunKeys
from holdfast_cli.runs import Run

if TYPE_CHECKING:
    from holdfast_cli.system import System

REPORT = "report.json"
Remarks = Mapping[str, tuple[str, ...]]
"""Sentences by what they are: warnings, notes, left_out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The lists of a report: each entry is a sentence. *left_out* are things of the archive that were not restored."""

    bucket: str
    key: str
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def remarks(self) -> Remarks:
        """Return what the operator of a restore that succeeded should know, by what it is."""
        return {"warnings": self.warnings, "notes": self.notes, "left_out": self.left_out}


def is_restore(run: Run) -> bool:
    """Tell an execution that restores by the name of its machine."""
    return "-restore-" in run.machine


def findings(system: System, run: Run) -> Findings | None:
    """Return what the report of the restore *run* found; None where there is none that can be read."""
    from holdfast.usecases.restore.naming import restore_id_of

    key = RunKeys("restore", restore_id_of(run.arn)).document(REPORT)
    try:
        bucket, body = system.scratch.bucket, system.scratch.read(key)
    except (HoldfastError, ClientError, BotoCoreError):
        return None
    return _read(bucket, key, body) if body else None


def remarks_on(system: System, run: Run) -> Remarks:
    """Return what the report of the restore *run* remarks; nothing where it cannot be read."""
    found = findings(system, run)
    return found.remarks if found else {}


def failure_of(system: System, run: Run) -> HoldfastError:
    """Return why *run* failed; of a restore, with every difference and the place of its report."""
    error = run.failure()
    found = findings(system, run) if is_restore(run) else None
    if found:
        error.ids |= {"bucket": found.bucket, "key": found.key}
        if found.differences:
            error.ids["differences"] = list(found.differences)
    return error


def _read(bucket: str, key: str, body: bytes) -> Findings | None:
    try:
        report = json.loads(body)
    except ValueError:
        return None
    if not isinstance(report, dict):
        return None
    plan, comparison = _object(report, "plan"), _object(report, "comparison")
    return Findings(
        bucket=bucket,
        key=key,
        differences=_sentences(comparison, "differences"),
        warnings=_sentences(plan, "warnings"),
        notes=_unique(*_sentences(report, "notes"), *_sentences(comparison, "notes")),
        left_out=_sentences(plan, "left_out"),
    )


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _sentences(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    listed = found.get(name)
    return tuple(_texts(listed)) if isinstance(listed, list) else ()


def _texts(listed: list[Any]) -> Iterator[str]:
    """Yield each entry as one sentence; what is left out has a name and a reason."""
    for each in listed:
        yield f"{each.get('name', '')}: {each.get('reason', '')}" if isinstance(each, dict) else str(each)


def _unique(*sentences: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))
