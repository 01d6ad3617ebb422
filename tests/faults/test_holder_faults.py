"""
Every call of a holder fails once, through the whole life of a hold.

What passes by itself never costs the snapshot; anything else is told: the token is answered, or the point is failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from holdfast.adapters.postgres.connect import connect
from holdfast.adapters.postgres.snapshots import export_first
from holdfast.contracts.backup import HoldAnswer, HoldRequest
from holdfast.errors import HoldfastError, StorageThrottled, UnexpectedState
from holdfast.model.points import PointState
from holdfast.ports.catalogue import Hold
from holdfast.usecases.snapshot.hold import Clock, hold_snapshot
from snapshot.rig import DATABASE, Rig, now

TOKEN = "token"
FAST = 8
"""A life of a minute passes in ten looks."""


@dataclass
class Fault:
    """Fail the call number *at*: before it has its effect, or after (*late*)."""

    error: type[HoldfastError]
    late: bool = False
    at: int = 0
    made: int = 0

    def of(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self.made += 1
            due = self.made == self.at
            if due and not self.late:
                raise self.error("Injected.")
            answer = call(*arguments)
            if due:
                raise self.error("Injected.")
            return answer

        return counted

    def around(self, port: object) -> Any:
        """Return a port whose calls count."""
        return Counted(port, self)


class Counted:
    """A port each of whose calls may be the one that fails."""

    def __init__(self, port: object, fault: Fault) -> None:
        self._port, self._fault = port, fault

    def __getattr__(self, name: str) -> Any:
        return self._fault.of(getattr(self._port, name))


class Life:
    """A point whose hold lives for a minute; *turn* is what others do meanwhile."""

    def __init__(self, rig: Rig, generation: int, fault: Fault) -> None:
        self.rig, self.generation, self.fault = rig, generation, fault
        self.point_id = rig.start().point_id
        self.began, self.passed = now(), 0.0
        self.seen: set[str] = set()
        rig.executions.waiting.add(TOKEN)

    def run(self, turn: Callable[[], None]) -> HoldAnswer:
        def sleep(seconds: float) -> None:
            self.passed += seconds * FAST
            if hold := self.rig.holds.current(self.point_id):
                self.seen.add(hold.snapshot)
            turn()

        request = HoldRequest(database=DATABASE, point_id=self.point_id, generation=self.generation, task_token=TOKEN)
        return hold_snapshot(
            request,
            protect=self.fault.of(lambda: self.rig.protected),
            points=self.fault.around(self.rig.points),
            holds=self.fault.around(self.rig.holds),
            executions=self.fault.around(self.rig.executions),
            clock=Clock(
                now=lambda: self.began + timedelta(seconds=self.passed),
                sleep=sleep,
                seconds_left=lambda: 60 - self.passed,
            ),
        )


def first(rig: Rig, fault: Fault) -> Life:
    """Hold from the beginning until a successor has published."""
    life = Life(rig, 1, fault)

    def succeed() -> None:
        hold = rig.holds.current(life.point_id)
        if rig.executions.answers and hold and hold.generation == 1:
            rig.holds.publish(replace(hold, generation=2, snapshot="the successor's"))

    try:
        assert life.run(succeed) == HoldAnswer(released=False, generation=1)
    finally:
        life.seen.discard("the successor's")
    assert len(life.seen) == 1
    assert rig.points.get(life.point_id).state is PointState.CAPTURING
    hold = rig.holds.current(life.point_id)
    assert hold
    assert hold.generation == 2
    assert [answer[1:] for answer in rig.executions.answers] == [("succeeded", '{"released":false,"generation":1}')]
    return life


@contextmanager
def predecessor(rig: Rig, point_id: str) -> Iterator[None]:
    """Be the first holder."""
    with connect(rig.parameters, application_name="test") as session:
        exported = export_first(session)
        moment = {"taken_at": exported.taken_at, "opened_at": now(), "pinged_at": now()}
        rig.holds.publish(
            Hold(point_id=point_id, database=DATABASE, snapshot=exported.snapshot, generation=1, lsn="", **moment)
        )
        yield
        session.execute("ROLLBACK")


def last(rig: Rig, fault: Fault) -> Life:
    """Take the snapshot over, and hold it until the backup is over."""
    life = Life(rig, 2, fault)

    def seal() -> None:
        hold = rig.holds.current(life.point_id)
        if hold and hold.generation == 2 and life.passed > 12:
            rig.points.advance(life.point_id, PointState.CAPTURED)

    with predecessor(rig, life.point_id):
        assert life.run(seal) == HoldAnswer(released=True, generation=2)
    assert rig.points.get(life.point_id).state is PointState.CAPTURED
    assert rig.holds.current(life.point_id) is None
    assert [answer[1:] for answer in rig.executions.answers] in (
        [("succeeded", '{"released":true,"generation":2}')],
        [("succeeded", '{"released":false,"generation":2}')],
    )
    return life


LIVES = pytest.mark.parametrize("life", [first, last], ids=["first", "last"])


def calls(small: Rig, life: Callable[[Rig, Fault], Life]) -> int:
    """Return how many calls a life without any fault makes."""
    return life(Rig(small.parameters), Fault(StorageThrottled)).fault.made


@LIVES
@pytest.mark.parametrize("late", [False, True], ids=["refused", "answer lost"])
def test_a_call_that_fails_once_never_costs_the_snapshot(
    small: Rig, life: Callable[[Rig, Fault], Life], late: bool
) -> None:
    made = calls(small, life)
    assert made > 20

    for at in range(1, made + 1):
        fault = Fault(StorageThrottled, late=late, at=at)
        life(Rig(small.parameters), fault)
        assert fault.made >= at


@LIVES
def test_a_call_that_is_denied_is_told(small: Rig, life: Callable[[Rig, Fault], Life]) -> None:
    for at in range(1, calls(small, life) + 1):
        rig = Rig(small.parameters)

        with pytest.raises(UnexpectedState, match="Injected"):
            life(rig, Fault(UnexpectedState, at=at))

        (point,) = rig.points.newest_first(DATABASE)
        hold = rig.holds.current(point.id)
        told = [answer[1:3] for answer in rig.executions.answers]
        harmless = life is first and hold and hold.generation == 2
        assert harmless or point.state is PointState.FAILED or told == [("failed", "UnexpectedState")], at
