"""What happened, as data: `report.json` for programs, and what page and screen are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from holdfast.contracts.manifest import Manifest
from holdfast.contracts.verify import Verification
from holdfast_local.demo.timeline import Step
from holdfast_local.demo.witness import Testimony

PROVEN, NOT_PROVEN, FAILED = "proven", "not proven", "failed"


@dataclass(frozen=True)
class Table:
    """
    One table at its three stations: in the source at the snapshot, in the archive, in the restored database.

    *digest* is the archive's kind, *by_sql* plain SQL's; None where a station lacks the table.
    """

    name: str
    rows: Mapping[str, int | None]
    digest: Mapping[str, str | None]
    by_sql: Mapping[str, str | None]
    bytes_plain: int = 0
    bytes_stored: int = 0

    @property
    def equal(self) -> bool:
        """Whether all stations have it and agree in count and both digests."""
        return all(
            None not in values.values() and len(set(values.values())) == 1
            for values in (self.rows, self.digest, self.by_sql)
        )


@dataclass(frozen=True)
class Check:
    """Something that must hold beside the tables' contents."""

    name: str
    passed: bool
    detail: str = ""


@dataclass
class Report:
    """The whole run; *status* is proven only when every table is equal and every check passed."""

    started_at: datetime
    versions: dict[str, str]
    status: str = FAILED
    seconds: float = 0.0
    point: str = ""
    restore: str = ""
    bytes: dict[str, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    error: str = ""

    @property
    def faults(self) -> list[str]:
        """Return what is not proven, in words."""
        unequal = [f"Table {table.name} is not the same everywhere." for table in self.tables if not table.equal]
        failed = [f"{check.name}: {check.detail or 'no'}." for check in self.checks if not check.passed]
        return [*([self.error] if self.error else []), *unequal, *failed]

    @property
    def rows(self) -> int:
        """Return the rows of all tables in the source."""
        return sum(table.rows["source"] or 0 for table in self.tables)

    def judge(self) -> None:
        """Set the status from what was found."""
        self.status = FAILED if self.error or not self.tables else NOT_PROVEN if self.faults else PROVEN

    def as_json(self) -> str:
        """Return the report for programs."""
        facts = asdict(self) | {"tables": [asdict(table) | {"equal": table.equal} for table in self.tables]}
        facts |= {"started_at": self.started_at.isoformat(), "rows": self.rows, "faults": self.faults}
        facts["steps"] = [_step(step) for step in self.steps]
        return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"

    def write(self, path: Path) -> None:
        """Write `report.json`."""
        path.write_text(self.as_json(), encoding="utf-8")


def compared(
    manifest: Manifest, verification: Verification, source: Mapping[str, Testimony], restored: Mapping[str, Testimony]
) -> list[Table]:
    """Put the three stations of every table side by side, whichever of them knows it."""
    contents = {f"{content.schema_name}.{content.name}": content for content in manifest.contents}
    digests = {f"{each.schema_name}.{each.name}": each for each in verification.tables}
    tables = []
    for name in sorted({*contents, *digests, *source, *restored}):
        before, after, kept, content = source.get(name), restored.get(name), digests.get(name), contents.get(name)
        tables.append(
            Table(
                name=name,
                rows=_stations(_of(before, "rows"), content.rows if content else None, _of(after, "rows")),
                digest=_stations(_of(before, "digest"), kept.digest if kept else None, _of(after, "digest")),
                by_sql={"source": _of(before, "by_sql"), "restored": _of(after, "by_sql")},
                bytes_plain=content.plain if content else 0,
                bytes_stored=sum(chunk.stored for chunk in content.chunks) if content else 0,
            )
        )
    return tables


def _of(testimony: Testimony | None, name: str) -> Any:
    return getattr(testimony, name) if testimony else None


def _stations(source: Any, archive: Any, restored: Any) -> dict[str, Any]:
    return {"source": source, "archive": archive, "restored": restored}


def _step(step: Step) -> dict[str, Any]:
    details = [{"name": name, "begin": begin, "seconds": seconds} for name, begin, seconds in step.details]
    return asdict(step) | {"bytes_per_second": round(step.rate), "details": details}


def differences(before: Sequence[str], after: Sequence[str]) -> str:
    """Return how many lines two dumps of a schema do not share; empty when they are equal."""
    if before == after:
        return ""
    missing, extra = set(before) - set(after), set(after) - set(before)
    shown = "; ".join(sorted(missing)[:2] + sorted(extra)[:2])
    return f"{len(missing)} lines are missing and {len(extra)} are new, for example: {shown}"
