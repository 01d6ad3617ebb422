"""Let recovery points expire whose time is over, and remove what is left of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from holdfast.configuration import Database
from holdfast.contracts.pruning import Decisions, Judged, Outcome, Pruned, PruneRequest
from holdfast.errors import BackupAlreadyRunning, PointProtected, UnexpectedState
from holdfast.model.collecting import GUARD
from holdfast.model.keys import RunKeys
from holdfast.model.points import Mechanism, PointState, RecoveryPoint
from holdfast.model.retention import Decision, Held, Policy, decide
from holdfast.ports.catalogue import Holds, Points, Restores
from holdfast.ports.executions import Executions
from holdfast.ports.storage import Scratch
from holdfast.usecases.locking import take_over
from holdfast.usecases.retention.removing import Removal, Snapshots
from holdfast.usecases.snapshot.protected import keep_days

SECONDS_PER_POINT = 90
"""No point is begun with less left: the longest lists two buckets and removes a page of each."""
DECISIONS = "decisions.json"
REMEMBERED = {Mechanism.HISTORY: timedelta(days=7)}
REMEMBERED_LONG = timedelta(days=400)
"""How long the catalogue remembers points that have expired: moments of a history are many, and leave nothing."""
_LATEST_RESTORES = 500
"""Restores among which the running ones are: those of two days, as long as one may take, with ten an hour."""


class Pruning:
    """What pruning needs; one object serves one invocation."""

    def __init__(
        self,
        *,
        points: Points,
        holds: Holds,
        restores: Restores,
        executions: Executions,
        scratch: Scratch,
        removal: Removal,
        provider: Callable[[], Snapshots | None],
        policy: Policy,
        now: Callable[[], datetime],
        seconds_left: Callable[[], float],
    ) -> None:
        self._points, self._holds, self._restores, self._executions = points, holds, restores, executions
        self._scratch, self._removal, self._provider, self._policy = scratch, removal, provider, policy
        self._now, self._seconds_left = now, seconds_left
        self._held: Held | None = None
        self._asked = False

    def run(self, request: PruneRequest) -> Pruned:
        """
        Go on for as long as this invocation may; answers how far it has come.

        May be repeated at any time: what a point has come to stands in the catalogue, and each is judged again before
        it is touched. Raises `BackupAlreadyRunning` while another run has the database's lock.
        """
        if request.dry_run:
            return self._told(request, self._begun(request).model_copy(update={"finished": True}))
        decisions = self._read(request)
        if decisions and decisions.finished:
            self._points.release(request.database, request.execution)
            return self._summary(request, decisions)
        self._lock(request)
        decisions = decisions or self._begun(request)
        for number, judged in enumerate(decisions.judged):
            if judged.outcome is not Outcome.DUE:
                continue
            if self._seconds_left() < SECONDS_PER_POINT:
                return self._told(request, decisions)
            if ended := self._ended_without_us(request):
                return ended
            done = self._carried_out(judged, request)
            decisions = Decisions(judged=(*decisions.judged[:number], done, *decisions.judged[number + 1 :]))
            self._told(request, decisions)
        self._forget(request.database)
        told = self._told(request, decisions.model_copy(update={"finished": True}))
        self._points.release(request.database, request.execution)
        return told

    def _lock(self, request: PruneRequest) -> None:
        try:
            self._points.reserve(request.database, request.execution, self._now())
        except BackupAlreadyRunning as running:
            take_over(running, request.execution, points=self._points, holds=self._holds, executions=self._executions)
            self._points.reserve(request.database, request.execution, self._now())

    def _ended_without_us(self, request: PruneRequest) -> Pruned | None:
        """
        Stop an invocation that outlived its execution: whoever has the lock now decides.

        Returns what another invocation of the same execution has told, when that has come to the end.
        """
        if self._points.lock_holder(request.database) == ("", request.execution):
            return None
        decisions = self._read(request)
        if decisions and decisions.finished:
            return self._summary(request, decisions)
        raise UnexpectedState(
            f"The run {request.run} has lost the lock of {request.database}.", execution=request.execution
        )

    def _begun(self, request: PruneRequest) -> Decisions:
        """Judge every point, and every removal that an earlier run has not ended."""
        points = self._points.newest_first(request.database)
        judged = [self._judged(decision, dry_run=request.dry_run) for decision in self._decided(points)]
        expired = [point for point in points if point.state is PointState.EXPIRED and self._unfinished(point)]
        judged += [_told_of(point, Outcome.DUE, point.expired_why, "It expired already.") for point in expired]
        return Decisions(judged=tuple(judged))

    def _judged(self, decision: Decision, *, dry_run: bool) -> Judged:
        due = decision.expires or decision.lost
        point, note = decision.point, ""
        if dry_run and decision.expires:
            note = self._removal.obstacle(point)
        return _told_of(point, Outcome.DUE if due else Outcome.KEPT, decision.why, note)

    def _decided(self, points: Sequence[RecoveryPoint]) -> tuple[Decision, ...]:
        return decide(points, self._policy, now=self._now(), held=self._at_provider(points), uses=self._uses(points))

    def _at_provider(self, points: Sequence[RecoveryPoint]) -> Held | None:
        """Ask the provider once what it has, if there is anything that it should have."""
        living = [point for point in points if not point.archived and point.state is not PointState.EXPIRED]
        if not self._asked and living:
            self._asked = True
            provider = self._provider()
            if provider is not None:
                window = provider.window()
                self._held = Held(
                    earliest=window.earliest if window else None,
                    snapshots=frozenset(one.id for one in provider.snapshots()),
                    copies=frozenset(one.id for one in provider.second_region_snapshots()),
                )
        return self._held

    def _uses(self, points: Sequence[RecoveryPoint]) -> dict[str, str]:
        """Return the points that a restore reads just now."""
        database = points[0].database if points else ""
        latest = self._restores.newest_first(database, limit=_LATEST_RESTORES) if points else ()
        return {
            run.point_id: f"The restore {run.id} reads it."
            for run in latest
            if run.state == "running" and self._executions.running(run.execution)
        }

    def _unfinished(self, point: RecoveryPoint) -> bool:
        """Answer whether something of an expired point may be left; a function may have outlived its execution."""
        return point.removed_at is None or (point.archived and self._now() - point.removed_at < GUARD)

    def _carried_out(self, judged: Judged, request: PruneRequest) -> Judged:
        """Judge the point again, let it expire if it is still to, and remove it."""
        points = self._points.newest_first(request.database)
        point = next((one for one in points if one.id == judged.point_id), None)
        if point is None:
            return judged.model_copy(update={"outcome": Outcome.REMOVED})
        if point.state is not PointState.EXPIRED:
            decision = next(one for one in self._decided(points) if one.point.id == point.id)
            expired = self._expired(decision)
            if isinstance(expired, Judged):
                return expired
            point = expired
        if why := self._uses(points).get(point.id):
            # It began while the point expired, and saw it whole; whoever begins later sees that it has expired.
            return _told_of(point, Outcome.LOCKED, judged.why, why)
        if note := self._removal.run(point, request.execution):
            return _told_of(point, Outcome.LOCKED, judged.why, note)
        if point.removed_at is None:
            point = self._points.note(point.id, removed_at=self._now())
        return _told_of(point, Outcome.REMOVED, judged.why, judged.note)

    def _expired(self, decision: Decision) -> RecoveryPoint | Judged:
        """Return the point, expired; or what was told of it, when it stays."""
        point = decision.point
        if decision.lost:
            failed = self._points.advance(point.id, PointState.FAILED, failure=decision.why)
            return _told_of(failed, Outcome.LOST, decision.why)
        if not decision.expires:
            return _told_of(point, Outcome.KEPT, decision.why)
        if note := self._removal.obstacle(point):
            return _told_of(point, Outcome.LOCKED, decision.why, note)
        if point.state is PointState.CAPTURING:
            if self._executions.running(point.execution):
                return _told_of(point, Outcome.KEPT, "It is not finished.")
            self._points.advance(point.id, PointState.FAILED, failure="Its execution ended before the backup did.")
        facts = {"expired_at": self._now(), "expired_why": decision.why}
        try:
            return self._points.advance(point.id, PointState.EXPIRED, **facts)
        except PointProtected as error:
            return _told_of(point, Outcome.KEPT, error.message)

    def _forget(self, database: str) -> None:
        for point in self._points.newest_first(database):
            if point.state is PointState.EXPIRED and point.expired_at and not self._unfinished(point):
                remembered = REMEMBERED.get(point.mechanism, REMEMBERED_LONG)
                if self._now() - point.expired_at > remembered:
                    self._points.forget(point.id)

    def _read(self, request: PruneRequest) -> Decisions | None:
        body = self._scratch.read(_key(request))
        return Decisions.model_validate_json(body) if body else None

    def _told(self, request: PruneRequest, decisions: Decisions) -> Pruned:
        """Write the decisions down, for the next invocation and for people, and return the summary."""
        self._scratch.write(_key(request), decisions.model_dump_json().encode())
        return self._summary(request, decisions)

    def _summary(self, request: PruneRequest, decisions: Decisions) -> Pruned:
        counts = Counter(one.outcome for one in decisions.judged)
        return Pruned(
            database=request.database,
            run=request.run,
            dry_run=request.dry_run,
            finished=decisions.finished,
            counts={outcome: counts[outcome] for outcome in Outcome},
        )


def policy_of(database: Database) -> Policy:
    """Return what the configuration says of *database*: a tier that is off cannot be failing."""
    return Policy(
        keep={tier: timedelta(days=days) for tier, days in keep_days(database).items()},
        objective={tier: timedelta(hours=plan.alarm_hours) for tier, plan in database.tiers.enabled()},
    )


def _told_of(point: RecoveryPoint, outcome: Outcome, why: str, note: str = "") -> Judged:
    return Judged(
        point_id=point.id,
        tier=point.tier,
        mechanism=point.mechanism,
        state=point.state,
        taken_at=point.taken_at,
        outcome=outcome,
        why=why,
        note=note,
    )


def _key(request: PruneRequest) -> str:
    return RunKeys("prune", request.run).document(DECISIONS)
