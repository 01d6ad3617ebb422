"""Protecting points: what keeps, what a legal hold is set on, and that whoever is cut off never leaves too little."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest

from holdfast.contracts.protecting import Guarded, ProtectRequest
from holdfast.errors import BackupAlreadyRunning, PointNotRestorable, PointProtected
from holdfast.model.keys import MANIFEST
from holdfast.model.points import Mechanism, PointState, RecoveryPoint
from holdfast.usecases.retention import protect
from holdfast.usecases.retention.protect import Protection
from retention.archives import DATABASE, KEYS, Shelf
from retention.interleaving import Invocation, Stepwise


def request(point: RecoveryPoint, run: str = "run", **facts: Any) -> ProtectRequest:
    given = {"database": DATABASE, "point_id": point.id, "reason": "litigation 17", **facts}
    return ProtectRequest(**given, execution=f"arn:{run}", run=run)


def guard(shelf: Shelf, asked: ProtectRequest, *, ports: Any = None, seconds_left: Any = lambda: 900) -> Guarded:
    seen = ports or shelf
    return Protection(
        points=seen.points,
        holds=seen.holds,
        executions=seen.executions,
        archive=seen.archive,
        versions=seen.archive,
        legal_holds=[seen.archive],
        scratch=seen.scratch,
        now=lambda: shelf.archive.today,
        seconds_left=seconds_left,
    ).run(asked)


def held(shelf: Shelf) -> set[str]:
    """Return the keys that have a version with a legal hold."""
    return {key for key, kept in shelf.archive.versions.items() if any(getattr(one, "held", False) for one in kept)}


def keys(*chunks: Any) -> set[str]:
    return {KEYS.chunk(chunk.sha256) for chunk in chunks}


def test_a_protected_point_never_expires_until_somebody_takes_that_back() -> None:
    shelf = Shelf()
    point = shelf.point(shelf.chunk("rows"))

    guard(shelf, request(point))

    with pytest.raises(PointProtected, match="litigation 17"):
        shelf.points.advance(point.id, PointState.EXPIRED)
    assert held(shelf) == set()
    guard(shelf, request(point, "back", protect=False, reason="settled"))
    assert shelf.points.advance(point.id, PointState.EXPIRED).state is PointState.EXPIRED
    receipts = [json.loads(shelf.archive.read(KEYS.protection(run))) for run in ("run", "back")]
    assert [(each["protect"], each["reason"]) for each in receipts] == [(True, "litigation 17"), (False, "settled")]


def test_a_legal_hold_is_on_everything_of_the_point_and_ends_but_for_what_others_hold() -> None:
    shelf = Shelf()
    mine, shared, loose = shelf.chunk("mine"), shelf.chunk("shared"), shelf.chunk("loose")
    first, second = shelf.point(mine, shared), shelf.point(shared)

    guarded = guard(shelf, request(first, "one", legal_hold=True))
    guard(shelf, request(second, "two", legal_hold=True))

    manifests = [KEYS.of_point(each.id, MANIFEST) for each in (first, second)]
    assert (guarded.finished, guarded.versions, guarded.missing) == (True, 3, 0)
    assert held(shelf) == {*keys(mine, shared), *manifests}
    guard(shelf, request(first, "back", protect=False))
    assert held(shelf) == {*keys(shared), manifests[1]}
    assert not shelf.points.get(first.id).legal_hold
    assert shelf.points.lock_holder(DATABASE) is None
    assert keys(loose).isdisjoint(held(shelf))


def test_a_reason_that_is_corrected_leaves_the_legal_hold_on() -> None:
    shelf = Shelf()
    point = shelf.point(shelf.chunk("rows"))
    guard(shelf, request(point, legal_hold=True))

    guard(shelf, request(point, "again", reason="litigation 18"))

    found = shelf.points.get(point.id)
    assert (found.protected, found.legal_hold, len(held(shelf))) == ("litigation 18", True, 2)


def test_a_point_is_protected_while_its_legal_hold_waits_for_the_lock() -> None:
    shelf = Shelf()
    point = shelf.point(shelf.chunk("rows"))
    shelf.points.reserve(DATABASE, "arn:backup", shelf.archive.today)
    shelf.executions.alive.add("arn:backup")

    with pytest.raises(BackupAlreadyRunning):
        guard(shelf, request(point, legal_hold=True))

    assert shelf.points.get(point.id).protected == "litigation 17"


def test_a_hold_of_many_chunks_goes_on_in_the_next_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protect, "TOGETHER", 2)
    shelf = Shelf()
    chunks = [shelf.chunk(f"rows {number}") for number in range(5)]
    point = shelf.point(*chunks)
    left = chain([900], repeat(1))

    first = guard(shelf, request(point, legal_hold=True), seconds_left=lambda: next(left))
    last = guard(shelf, request(point, legal_hold=True))

    assert (first.finished, first.versions) == (False, 3)
    assert (last.finished, last.versions) == (True, 6)
    assert keys(*chunks) <= held(shelf)


def test_nobody_protects_what_cannot_be_kept() -> None:
    shelf = Shelf()
    gone, moment, snapshot = (shelf.point(state=PointState.INTACT) for _ in range(3))
    shelf.points.points[gone.id] = replace(gone, state=PointState.EXPIRED)
    shelf.points.points[moment.id] = replace(moment, mechanism=Mechanism.HISTORY)
    shelf.points.points[snapshot.id] = replace(snapshot, mechanism=Mechanism.SNAPSHOT)

    for point, facts in ((gone, {}), (moment, {}), (snapshot, {"legal_hold": True})):
        with pytest.raises(PointNotRestorable):
            guard(shelf, request(point, **facts))
    assert guard(shelf, request(snapshot, "plain")).finished


@pytest.mark.parametrize("protecting", [True, False], ids=["protecting", "letting go"])
def test_whoever_is_cut_off_leaves_too_much_protected_and_never_too_little(*, protecting: bool) -> None:
    calls, cut_off = 1000, 0
    while cut_off < calls:
        shelf = Shelf()
        shelf.pass_days(1)
        chunk = shelf.chunk("rows")
        point = shelf.point(chunk)
        if not protecting:
            guard(shelf, request(point, "before", legal_hold=True))
        calls = min(calls, _cut_off(shelf, request(point, protect=protecting, legal_hold=protecting), cut_off))

        if held(shelf):
            assert shelf.points.get(point.id).protected
            assert shelf.points.get(point.id).legal_hold
        shelf.executions.alive.clear()
        guard(shelf, request(point, "second", protect=protecting, legal_hold=protecting))
        assert bool(held(shelf)) is protecting
        assert bool(shelf.points.get(point.id).protected) is protecting
        cut_off += 1
    assert calls > 5
    assert timedelta(days=365) == protect.RECEIPT_KEPT


def _cut_off(shelf: Shelf, asked: ProtectRequest, cut_off: int) -> int:
    """Run until *cut_off* calls were made; returns how many it would be at least."""

    class Ports:
        def __init__(self, invocation: Invocation) -> None:
            self.invocation = invocation

        def __getattr__(self, name: str) -> Any:
            return Stepwise(getattr(shelf, name), self.invocation)

    invocation = Invocation(lambda by: guard(shelf, asked, ports=Ports(by)))
    for _ in range(cut_off):
        invocation.step()
    over = invocation.over
    invocation.kill()
    return cut_off if over else 1000
