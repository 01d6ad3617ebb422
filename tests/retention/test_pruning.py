"""Pruning: what goes, what stays and why, what is left behind, and what happens when somebody is cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest

from holdfast.contracts.pruning import Outcome
from holdfast.errors import (
    BackupAlreadyRunning,
    CollectionRunning,
    ProviderRefused,
    ProviderUnreachable,
    UnexpectedState,
)
from holdfast.model.keys import MANIFEST, VERIFICATION
from holdfast.model.points import Mechanism, PointState, RecoveryPoint, Tier
from holdfast.ports.catalogue import RestoreRun
from retention.interleaving import Invocation, Killed, Stepwise
from retention.pruning import DATABASE, DAY, KEYS, SECOND, TODAY, Cellar, request, snapshot

OLD = 40 * DAY


@pytest.fixture
def cellar() -> Cellar:
    made = Cellar()
    made.healthy()
    return made


def test_an_old_point_goes_with_every_version_in_both_buckets_and_leaves_a_receipt(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD)
    cellar.archive.delete(KEYS.of_point(old.id, MANIFEST))

    pruned = cellar.prune()

    assert (pruned.finished, pruned.counts[Outcome.REMOVED], cellar.left(old)) == (True, 1, [])
    expired = cellar.points.get(old.id)
    assert (expired.state, expired.removed_at) == (PointState.EXPIRED, TODAY)
    (receipt,) = cellar.receipts(old)
    assert receipt["why"] == expired.expired_why == "It is 40 days old; daily points are kept for 30 days."
    assert (receipt["execution"], receipt["ended_at"]) == ("arn:run", "2026-06-01T12:00:00Z")
    names = [(one["place"], one["key"].rpartition("/")[2], one["marker"]) for one in receipt["versions"]]
    assert sorted(names) == [
        ("archive", "manifest.json", False),
        ("archive", "manifest.json", True),
        ("archive", "manifest.sig", False),
        ("replica", "manifest.json", False),
        ("replica", "manifest.sig", False),
    ]
    assert cellar.points.lock_holder(DATABASE) is None


def test_receipts_are_locked_longer_than_what_they_tell_of(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD)

    cellar.prune()

    for key in (KEYS.removal(old.id), KEYS.removed(old.id)):
        (version,) = cellar.archive.versions[key]
        assert getattr(version, "retain_until", None) == TODAY + 365 * DAY


def test_a_dry_run_explains_each_decision_and_touches_nothing(cellar: Cellar) -> None:
    old, young = cellar.point(Tier.DAILY, OLD), cellar.point(Tier.DAILY, 2 * DAY)
    running = cellar.point(Tier.DAILY, DAY, PointState.CAPTURING)
    cellar.points.locks[DATABASE] = (running.id, running.execution)

    pruned = cellar.prune(dry_run=True)

    assert pruned.counts[Outcome.DUE] == 1
    assert cellar.judged(old).why == "It is 40 days old; daily points are kept for 30 days."
    assert cellar.judged(young).why == "It is 2 days old; daily points are kept for 30 days."
    assert cellar.points.get(old.id).state is PointState.INTACT
    assert len(cellar.left(old)) == 4


def test_a_point_that_a_lock_protects_stays_whole_and_is_told_until_when(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD)
    cellar.write(old, VERIFICATION, until=TODAY + DAY)

    cellar.prune()

    judged = cellar.judged(old)
    assert (judged.outcome, judged.note) == (Outcome.LOCKED, "A lock protects it until 2026-06-02 12:00:00 UTC.")
    assert (cellar.points.get(old.id).state, len(cellar.left(old))) == (PointState.INTACT, 6)
    for fresh in cellar.fresh:
        cellar.points.points[fresh.id] = replace(fresh, taken_at=TODAY + DAY)
    cellar.archive.today = TODAY + DAY
    cellar.prune("tomorrow")
    assert (cellar.points.get(old.id).state, cellar.left(old)) == (PointState.EXPIRED, [])


def test_a_legal_hold_has_no_end_and_says_so(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD)
    key = KEYS.of_point(old.id, MANIFEST)
    cellar.replica.hold(cellar.replica.page(key).versions, on=True)

    cellar.prune()

    assert cellar.judged(old).note == "A legal hold protects it until somebody ends that."
    assert len(cellar.left(old)) == 4


def test_a_protected_point_stays_whatever_its_age(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD, protected="litigation 17.")

    cellar.prune()

    assert cellar.judged(old).why == "It is protected: litigation 17."
    assert cellar.points.get(old.id).state is PointState.INTACT


def test_a_point_that_is_protected_while_it_is_judged_stays(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD)
    ports = Interrupted(cellar, "advance", lambda: cellar.points.protect(old.id, "litigation 17"))

    cellar.pruning(ports).run(request())

    assert cellar.judged(old).why == f"The recovery point {old.id} is protected: litigation 17"
    assert (cellar.points.get(old.id).state, len(cellar.left(old))) == (PointState.INTACT, 4)


def test_a_point_that_becomes_the_newest_while_others_are_removed_stays(cellar: Cellar) -> None:
    """Each is judged again just before: a verification may find the newest one damaged meanwhile."""
    first, second = cellar.point(Tier.WEEKLY, 100 * DAY), cellar.point(Tier.WEEKLY, 110 * DAY)
    newest = cellar.point(Tier.WEEKLY, DAY)
    spoilt = Interrupted(cellar, "note", lambda: cellar.points.advance(newest.id, PointState.FAILED, failure="rot"))

    cellar.pruning(spoilt).run(request())

    assert cellar.points.get(first.id).state is PointState.EXPIRED
    assert cellar.judged(second).why == "It is the newest intact weekly point."
    assert cellar.points.get(second.id).state is PointState.INTACT


def restore_of(point: RecoveryPoint) -> RestoreRun:
    return RestoreRun(
        id="restore-1",
        database=DATABASE,
        point_id=point.id,
        into="copy",
        target="host",
        state="running",
        started_at=TODAY,
        execution="arn:restore-1",
    )


def test_a_restore_that_begins_while_its_point_expires_can_read_it_to_the_end(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = cellar.point(Tier.DAILY, OLD)
    advance = cellar.points.advance

    def beginning(*arguments: Any, **facts: Any) -> RecoveryPoint:
        monkeypatch.undo()
        cellar.restores.begin(restore_of(old))
        cellar.executions.alive.add("arn:restore-1")
        return advance(*arguments, **facts)

    monkeypatch.setattr(cellar.points, "advance", beginning)

    cellar.pruning().run(request())

    judged = cellar.judged(old)
    assert (judged.outcome, judged.note) == (Outcome.LOCKED, "The restore restore-1 reads it.")
    assert len(cellar.left(old)) == 4
    cellar.prune("later")
    assert cellar.left(old) == []


def test_a_point_that_a_restore_reads_stays(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD)
    cellar.restores.begin(restore_of(old))
    cellar.executions.alive.add("arn:restore-1")
    for number in range(2, 102):  # previews of one day, all over by now
        started = TODAY + timedelta(minutes=number)
        cellar.restores.begin(replace(restore_of(old), id=f"restore-{number}", into=f"{number}", started_at=started))
        cellar.restores.end(f"restore-{number}", state="succeeded", sentence="", ended_at=started)

    cellar.pruning().run(request())

    assert cellar.judged(old).why == "The restore restore-1 reads it."
    cellar.executions.alive.clear()
    cellar.prune("later")
    assert cellar.points.get(old.id).state is PointState.EXPIRED


def test_what_is_captured_for_days_goes_only_when_its_run_is_over(cellar: Cellar) -> None:
    stuck = cellar.point(Tier.DAILY, OLD, PointState.CAPTURING)
    cellar.executions.alive.add(stuck.execution)

    cellar.pruning().run(request())
    first = cellar.points.get(stuck.id).state
    cellar.prune("later")

    assert (first, cellar.points.get(stuck.id).state) == (PointState.CAPTURING, PointState.EXPIRED)


def test_snapshots_of_ours_are_deleted_here_and_in_the_second_region(cellar: Cellar) -> None:
    ours = cellar.point(Tier.DAILY, OLD, **snapshot(second_region=SECOND, second_id="copy-1"))
    adopted = cellar.point(
        Tier.DAILY,
        OLD + DAY,
        **snapshot(provider_id="rds:auto", adopted=True, second_region=SECOND, second_id="copy-2"),
    )
    assert cellar.provider

    cellar.prune()

    assert sorted(cellar.provider.deleted) == ["copy-1", "copy-2", "snap-1"]
    assert cellar.provider.here == {"rds:auto": False}
    (receipt,) = cellar.receipts(ours)
    assert (receipt["snapshot"], receipt["copy_region"], receipt["copy_id"]) == ("snap-1", SECOND, "copy-1")
    assert cellar.receipts(adopted)[0]["snapshot"] == ""


def test_what_the_provider_let_go_by_itself_expires_without_a_receipt(cellar: Cellar) -> None:
    left = cellar.point(Tier.HOURLY, 7 * DAY + timedelta(minutes=1), mechanism=Mechanism.HISTORY)
    within = cellar.point(Tier.HOURLY, 6 * DAY, mechanism=Mechanism.HISTORY)
    adopted = cellar.point(Tier.DAILY, 8 * DAY, **snapshot(adopted=True))
    assert cellar.provider
    cellar.provider.here.clear()

    cellar.prune()

    assert "left the provider's window, which reaches back to 2026-05-25" in cellar.points.get(left.id).expired_why
    assert cellar.points.get(within.id).state is PointState.INTACT
    assert cellar.points.get(adopted.id).expired_why == "The provider does not have its snapshot any more."
    assert cellar.receipts(left) == cellar.receipts(adopted) == []


def test_a_snapshot_of_ours_that_is_gone_is_a_failure_and_no_expiry(cellar: Cellar) -> None:
    ours = cellar.point(Tier.WEEKLY, 8 * DAY, **snapshot())
    copied = cellar.point(Tier.WEEKLY, 9 * DAY, **snapshot(provider_id="snap-2", second_id="copy-2", second_at=TODAY))
    assert cellar.provider
    cellar.provider.here.clear()

    pruned = cellar.prune()

    assert pruned.counts[Outcome.LOST] == 1
    assert cellar.points.get(ours.id).state is PointState.FAILED
    assert cellar.points.get(copied.id).state is PointState.INTACT


def test_a_copy_that_was_never_finished_does_not_stand_for_a_snapshot_that_is_gone(cellar: Cellar) -> None:
    half = cellar.point(Tier.WEEKLY, 8 * DAY, **snapshot(second_region=SECOND, second_id="copy-1"))
    assert cellar.provider
    cellar.provider.here.clear()

    cellar.prune()

    assert cellar.judged(half).outcome is Outcome.LOST


def test_nothing_is_taken_for_gone_where_nobody_could_be_asked(cellar: Cellar) -> None:
    cellar.provider = None
    moment = cellar.point(Tier.HOURLY, 6 * DAY, mechanism=Mechanism.HISTORY)
    ours = cellar.point(Tier.DAILY, OLD, **snapshot())

    cellar.prune()

    assert cellar.points.get(moment.id).state is PointState.INTACT
    assert cellar.points.get(ours.id).state is PointState.INTACT
    assert "its snapshot cannot be deleted" in cellar.judged(ours).note


def test_a_provider_that_does_not_answer_ends_the_run_before_anything_is_removed(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, ours = cellar.point(Tier.DAILY, OLD), cellar.point(Tier.DAILY, OLD + DAY, **snapshot())
    monkeypatch.setattr(cellar.provider, "snapshots", _unreachable)

    with pytest.raises(ProviderUnreachable):
        cellar.prune()

    assert {cellar.points.get(one.id).state for one in (old, ours)} == {PointState.INTACT}
    assert len(cellar.left(old)) == 4


def test_a_provider_that_refuses_stands_in_the_way_of_that_point_alone_and_is_asked_again(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, old = cellar.point(Tier.DAILY, OLD, **snapshot()), cellar.point(Tier.DAILY, OLD + DAY)
    with monkeypatch.context() as refusing:
        refusing.setattr(cellar.provider, "delete_snapshot", _refusing)
        cellar.prune()

    assert cellar.judged(ours).note == "The provider refuses: It is in use."
    assert cellar.points.get(old.id).removed_at == TODAY
    assert cellar.receipts(ours) == []
    cellar.prune("tomorrow")
    assert cellar.points.get(ours.id).removed_at == TODAY
    assert len(cellar.receipts(ours)) == 1


def test_what_a_late_function_writes_beside_an_expired_point_goes_with_a_second_receipt(cellar: Cellar) -> None:
    old = cellar.point(Tier.DAILY, OLD)
    cellar.prune()
    cellar.write(old, VERIFICATION)

    cellar.prune("second")
    cellar.prune("third")

    assert cellar.left(old) == []
    assert [len(each["versions"]) for each in cellar.receipts(old)] == [2, 4]


def test_a_run_goes_on_where_the_last_invocation_stopped(cellar: Cellar) -> None:
    old = [cellar.point(Tier.DAILY, OLD + days * DAY) for days in range(3)]
    left = chain([900], repeat(10))

    first = cellar.prune(seconds_left=lambda: next(left))
    states = [cellar.points.get(one.id).state for one in old]
    last = cellar.prune()

    assert (first.finished, states.count(PointState.EXPIRED)) == (False, 1)
    assert (last.finished, last.counts[Outcome.REMOVED]) == (True, 3)


def test_a_run_ends_at_once_while_another_has_the_lock(cellar: Cellar) -> None:
    cellar.points.reserve(DATABASE, "arn:collect", TODAY)
    cellar.executions.alive.add("arn:collect")

    with pytest.raises(CollectionRunning):
        cellar.pruning().run(request())
    assert issubclass(CollectionRunning, BackupAlreadyRunning)


def test_an_invocation_that_outlived_its_execution_removes_nothing_more(cellar: Cellar) -> None:
    old = [cellar.point(Tier.DAILY, OLD + days * DAY) for days in range(2)]

    def overtaken() -> None:
        cellar.points.locks[DATABASE] = ("", "arn:another")

    with pytest.raises(UnexpectedState, match="has lost the lock"):
        cellar.pruning(Interrupted(cellar, "note", overtaken)).run(request())

    assert [cellar.points.get(one.id).state for one in old].count(PointState.EXPIRED) == 1


def test_an_expired_moment_is_forgotten_in_a_week_and_an_archive_in_a_year(cellar: Cellar) -> None:
    moment = cellar.point(Tier.HOURLY, 8 * DAY, mechanism=Mechanism.HISTORY)
    old = cellar.point(Tier.DAILY, OLD)
    cellar.prune()

    for days, known in ((7, 2), (8, 1), (400, 1), (401, 0)):
        cellar.archive.today = TODAY + days * DAY
        cellar.prune(f"after-{days}")
        assert len({moment.id, old.id} & set(cellar.points.points)) == known, days


@pytest.mark.parametrize("twice", [False, True], ids=["dies", "its answer is lost"])
def test_whoever_is_cut_off_at_any_call_leaves_what_the_next_run_completes(*, twice: bool) -> None:
    """Every call of every port is made, or not, before the invocation dies; another run comes to the same end."""
    wanted, calls = _ended(Cellar(), cut_off=None, twice=twice)

    for cut_off in range(calls):
        found, _ = _ended(Cellar(), cut_off=cut_off, twice=twice)
        assert found == wanted, f"cut off at call {cut_off}"
    assert calls > 50


def _ended(cellar: Cellar, *, cut_off: int | None, twice: bool) -> tuple[Any, int]:
    """Prune a database whose run is cut off, then again by another run; returns what there is, and the calls."""
    cellar.healthy()
    old = cellar.point(Tier.DAILY, OLD)
    cellar.point(Tier.HOURLY, 8 * DAY, mechanism=Mechanism.HISTORY)
    ours = cellar.point(Tier.DAILY, OLD + DAY, **snapshot(second_region=SECOND, second_id="copy-1"))
    cellar.point(Tier.DAILY, 40 * DAY, PointState.CAPTURING)
    stepped = Invocation(lambda invocation: cellar.pruning(Stepped(cellar, invocation)).run(request("first")))
    calls = 0
    while not stepped.over and calls != cut_off:
        stepped.step()
        calls += 1
    if twice:
        stepped.step()
    stepped.kill()
    assert isinstance(stepped.error, Killed | None)
    if cut_off is not None:
        cellar.prune("second")
    facts = {
        "states": sorted((one.id, one.state, one.removed_at is not None) for one in cellar.points.points.values()),
        "left": [cellar.left(one) for one in (old, ours)],
        "locks": cellar.points.locks,
        "versions": [[(one["place"], one["key"]) for one in each["versions"]] for each in cellar.receipts(old)],
        "receipts": [(each["snapshot"], each["copy_id"], bool(each["ended_at"])) for each in cellar.receipts(ours)],
        "provider": cellar.provider and (cellar.provider.here, cellar.provider.there),
    }
    return facts, calls


class Stepped:
    """The ports, each call of which is a step."""

    def __init__(self, cellar: Cellar, invocation: Invocation) -> None:
        self._cellar, self._invocation = cellar, invocation

    def __getattr__(self, name: str) -> Any:
        return Stepwise(getattr(self._cellar, name), self._invocation)


class Interrupted:
    """The ports, with something happening just before the first call of the catalogue's *method*."""

    def __init__(self, cellar: Cellar, method: str, happens: Callable[[], object]) -> None:
        self._cellar, self.points = cellar, _Meddled(cellar.points, method, happens)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cellar, name)


class _Meddled:
    def __init__(self, points: Any, method: str, happens: Callable[[], object]) -> None:
        self._points, self._method, self._happens = points, method, [happens]

    def __getattr__(self, name: str) -> Any:
        if name == self._method and self._happens:
            self._happens.pop()()
        return getattr(self._points, name)


def _unreachable() -> Any:
    raise ProviderUnreachable("The provider does not answer.")


def _refusing(_: str) -> Any:
    raise ProviderRefused("It is in use.")
