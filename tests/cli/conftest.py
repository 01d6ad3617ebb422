"""The command line against a catalogue in memory and executions whose answers are written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fakes import MemoryArchive, MemoryHolds, MemoryPoints, MemoryScratch, MemorySigner
from holdfast.configuration import load
from holdfast.model.points import PointState, RecoveryPoint, Tier
from holdfast_cli import main, system, watch
from holdfast_cli.system import Place, System

ACCOUNT = "123456789012"
MACHINE = f"arn:aws:states:eu-central-1:{ACCOUNT}:stateMachine:"
EXECUTION = f"arn:aws:states:eu-central-1:{ACCOUNT}:execution:"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
CONFIGURATION = """\
[holdfast]
region = "eu-central-1"

[networks.office]
vpc_id = "vpc-0a1b2c3d4e5f60718"
availability_zones = ["eu-central-1a"]
subnet_ids = ["subnet-0a1b2c3d4e5f60718"]
endpoints = false

[databases.shop]
provider = "postgres"

[databases.stock]
provider = "rds"
network = "office"

[targets.spare]
network = "office"
"""


class DoesNotExist(Exception):
    """What the client raises for an execution that does not exist."""


class _Exceptions:
    ExecutionDoesNotExist = DoesNotExist
    InvalidArn = DoesNotExist


@dataclass
class ScriptedStates:
    """Step Functions: executions end as `outcome` says as soon as they are described a second time."""

    outcome: dict[str, Any] = field(default_factory=lambda: {"status": "SUCCEEDED", "output": "{}"})
    started: list[dict[str, Any]] = field(default_factory=list)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    on_start: Callable[[str], None] = lambda _: None
    exceptions = _Exceptions

    def start_execution(self, **request: Any) -> dict[str, Any]:
        self.started.append({**request, "input": json.loads(request["input"])})
        arn = f"{request['stateMachineArn'].replace(':stateMachine:', ':execution:')}:{request['name']}"
        self.known[arn] = {"status": "RUNNING", "startDate": NOON, "input": request["input"]}
        self.on_start(arn)
        return {"executionArn": arn}

    def describe_execution(self, **request: str) -> dict[str, Any]:
        arn = request["executionArn"]
        if arn not in self.known:
            raise DoesNotExist
        answer = dict(self.known[arn])
        if answer["status"] == "RUNNING" and not answer.get("forever"):
            self.known[arn] |= {"stopDate": NOON + timedelta(seconds=9), **self.outcome}
        return answer

    def list_executions(self, **request: str) -> dict[str, Any]:
        prefix, wanted = request["stateMachineArn"].replace(":stateMachine:", ":execution:"), request["statusFilter"]
        found = [arn for arn, each in self.known.items() if arn.startswith(f"{prefix}:") and each["status"] == wanted]
        return {"executions": [{"executionArn": arn} for arn in found]}

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        return {"events": self.events[::-1]}

    def describe_map_run(self, **_: str) -> dict[str, Any]:
        return {"itemCounts": {"succeeded": 3, "total": 4}}


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Command:
    """The command, and the system that it speaks to."""

    capture: pytest.CaptureFixture[str]
    system: System
    states: ScriptedStates
    points: MemoryPoints
    holds: MemoryHolds
    scratch: MemoryScratch

    def __call__(self, *arguments: str) -> Answer:
        code = main.run(list(arguments))
        return Answer(int(code), *self.capture.readouterr())


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    file = tmp_path / "holdfast.toml"
    file.write_text(CONFIGURATION)
    states, points, holds, scratch = ScriptedStates(), MemoryPoints(), MemoryHolds(), MemoryScratch()
    found = System(load(file), Place(region="eu-central-1", account=ACCOUNT))
    vars(found).update(points=points, holds=holds, archive=MemoryArchive(), scratch=scratch, signer=MemorySigner())
    monkeypatch.setattr(found, "client", lambda service: {"stepfunctions": states}[service])
    monkeypatch.setattr(system, "in_aws", lambda path: found)
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: None)
    monkeypatch.chdir(tmp_path)
    return Command(capsys, found, states, points, holds, scratch)


def point(hours: int = 0, *, state: PointState = PointState.INTACT, execution: str = "", **facts: Any) -> RecoveryPoint:
    """Return a point of `shop`, taken so many hours before noon."""
    taken = NOON - timedelta(hours=hours)
    return RecoveryPoint(
        id=f"shop-{taken:%Y%m%dt%H%M%Sz}-00000a",
        database="shop",
        tier=Tier.MANUAL,
        kind="full",
        state=state,
        started_at=taken,
        taken_at=taken,
        execution=execution or f"{EXECUTION}holdfast-backup-internet:old-{hours}",
        bytes_plain=2_500_000_000,
        bytes_stored=500_000_000,
        **facts,
    )


def keep(points: MemoryPoints, *kept: RecoveryPoint) -> None:
    """Put points into the catalogue as they are."""
    points.points.update({each.id: each for each in kept})
