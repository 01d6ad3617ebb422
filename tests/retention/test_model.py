"""No order of steps, crashes, duplicates and wrong clocks costs a point a chunk, and garbage goes in the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from fakes import MemoryArchive
from holdfast.archive import writing
from holdfast.model import collecting
from holdfast.model.points import PointState
from holdfast.ports.storage import Kept
from holdfast.usecases.retention import survey
from holdfast.usecases.retention.collect import Collection
from holdfast.usecases.snapshot import start
from holdfast.usecases.verify import check
from retention.play import Machine, World

MOVES = 300
PAUSES = [timedelta(hours=hours) for hours in (0.02, 0.2, 2, 14, 14, 14, 96)]
"""The longest but one ends locks while the executions that set them, or saw them, go on."""


@pytest.fixture(autouse=True)
def no_server_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what needs PostgreSQL; two threads of one invocation would make calls in an order of their own."""
    judged = SimpleNamespace(workers=2, sentence="", warning="")
    monkeypatch.setattr(start, "judge_source", lambda *_, **__: judged)
    monkeypatch.setattr(writing, "WORKERS", 1)
    monkeypatch.setattr(writing, "SMALL_WORKERS", 1)
    monkeypatch.setattr(check, "WORKERS", 1)


class Explorer:
    """Choose moves at random from one seed, and look after each whether anything is lost."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World(archive=MemoryArchive(page_keys=2), chance=self.chance)

    def run(self, moves: int = MOVES) -> list[str]:
        """Return what was lost, as soon as anything is."""
        for _ in range(moves):
            self._move()
            if lost := self.world.lost():
                return lost
        return []

    def end(self) -> None:
        """Let everything end, and a month pass; then collect."""
        for running in list(self.world.flying):
            self.world.kill(running)
        for machine in self.world.machines:
            self.world.abort(machine)
        self.world.let_pass(timedelta(days=31))
        self.world.collect("last", rounds=2)

    def _move(self) -> None:
        (move,) = self.chance.choices([each for each, _ in self.MOVES], [weight for _, weight in self.MOVES])
        move(self)

    def _step(self) -> None:
        if not self.world.flying:
            self._advance()
            return
        running = self.chance.choice(self.world.flying)
        for _ in range(self.chance.choice([1, 2, 5, 30])):
            if running in self.world.flying:
                self.world.step(running)

    def _rush(self) -> None:
        """Let one machine do a whole stage without anybody between."""
        machine = self._machine()
        if machine is None:
            return
        self.world.advance(machine)
        for running in [one for one in self.world.flying if one.machine is machine]:
            while running in self.world.flying:
                self.world.step(running)

    def _advance(self) -> None:
        if machine := self._machine():
            self.world.advance(machine)

    def _machine(self) -> Machine | None:
        found = [machine for machine in self.world.machines if not machine.over]
        return self.chance.choice(found) if found else None

    def _begin(self, kind: str, most: int, begin: Callable[[], Any]) -> None:
        if sum(machine.kind == kind and not machine.over for machine in self.world.machines) < most:
            begin()

    def _backup(self) -> None:
        self._begin("backup", 2, self.world.begin_backup)

    def _collection(self) -> None:
        self._begin("collect", 2, self.world.begin_collection)

    def _verification(self) -> None:
        self._begin("verify", 1, self.world.begin_verification)

    def _duplicate(self) -> None:
        if self.world.flying:
            running = self.chance.choice(self.world.flying)
            self.world.invoke(running.machine, running.task)

    def _crash(self) -> None:
        if self.world.flying:
            self.world.kill(self.chance.choice(self.world.flying))

    def _abort(self) -> None:
        if machine := self._machine():
            self.world.abort(machine)

    def _pause(self) -> None:
        self.world.let_pass(self.chance.choice(PAUSES))

    def _expire(self) -> None:
        self.world.expire()

    def _damage(self) -> None:
        self.world.damage()

    MOVES: tuple[tuple[Callable[[Explorer], None], int], ...] = (
        (_step, 60),
        (_advance, 25),
        (_rush, 20),
        (_backup, 5),
        (_collection, 6),
        (_verification, 1),
        (_duplicate, 2),
        (_crash, 2),
        (_abort, 2),
        (_pause, 8),
        (_expire, 6),
        (_damage, 1),
    )


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_no_point_loses_a_chunk_and_garbage_goes_in_the_end(seed: int) -> None:
    explorer = Explorer(seed)

    assert explorer.run() == []

    explorer.end()
    assert explorer.world.lost() == []
    assert explorer.world.garbage() == []


def test_the_model_makes_points_and_garbage_and_removes_some_while_locks_protect_the_rest() -> None:
    worlds = [Explorer(seed) for seed in range(20)]

    for explorer in worlds:
        explorer.run()

    made = [point for explorer in worlds for point in explorer.world.points.points.values()]
    found = [one for explorer in worlds for one in explorer.world.receipts()]
    assert sum(point.complete for point in made) > 20
    assert {point.state for point in made} == set(PointState) - {PointState.PROVEN}
    assert sum(one.removed.versions for one in found) > 10
    assert sum(one.locked.versions for one in found) > 0


def _no_lock(patch: pytest.MonkeyPatch) -> None:
    """Collect beside backups."""
    patch.setattr(Collection, "_lock", lambda *_: None)
    patch.setattr(Collection, "_ended_without_us", lambda *_: None)
    patch.setattr(survey, "_give_up", lambda *_, **__: None)


def _no_second_look(patch: pytest.MonkeyPatch) -> None:
    """Go on when somebody else has taken the lock over."""
    patch.setattr(Collection, "_ended_without_us", lambda *_: None)


def _no_object_lock(patch: pytest.MonkeyPatch) -> None:
    """Remove what is locked, too."""

    def remove(archive: MemoryArchive, versions: Sequence[collecting.Version]) -> list[Kept]:
        for one in versions:
            archive.versions[one.key] = [each for each in archive.versions[one.key] if each.id != one.version_id]
        return []

    patch.setattr(MemoryArchive, "remove", remove)


def _no_age(patch: pytest.MonkeyPatch) -> None:
    """Remove what was stored a moment ago."""
    patch.setattr(collecting, "GUARD", timedelta())


def _verified_only(patch: pytest.MonkeyPatch) -> None:
    """Count only what has been read back."""
    patch.setattr(survey, "counts", lambda point: point.restorable)


@pytest.mark.parametrize(
    "removed",
    [
        pytest.param([_verified_only], id="captured and failed points do not count"),
        pytest.param([_no_lock, _no_object_lock], id="neither the database's lock nor Object Lock"),
        pytest.param([_no_second_look, _no_object_lock, _no_age], id="no second look, no Object Lock, no age"),
    ],
)
def test_without_these_guards_something_is_lost(
    removed: list[Callable[[pytest.MonkeyPatch], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model would see it: any one of the guards after the first may fail, and the others still hold."""
    for guard in removed:
        guard(monkeypatch)

    assert any(Explorer(seed).run() for seed in range(300))
