"""Make a recovery point of what the provider keeps: ask for it or adopt it, look until it is there, judge it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.configuration import Database
from holdfast.contracts.capture import Captured, CaptureRequest
from holdfast.errors import BadRequest, ProviderQuota, ProviderStuck, SnapshotRefused, UnexpectedState
from holdfast.model.points import Kind, Mechanism, PointState, RecoveryPoint, Tier, point_id
from holdfast.model.provider_settings import ENCRYPTED
from holdfast.ports.catalogue import Points
from holdfast.ports.executions import Executions
from holdfast.ports.providers import Progress, Provider, ProviderSnapshot, Quota
from holdfast.usecases.capture import judging

SOONEST_LOOK, LATEST_LOOK = 5, 60
"""Seconds until the next look: a tenth of the time that has passed, within these bounds."""
PATIENT_SECONDS = 300
"""Seconds until the next look for what the provider has yet to begin."""
_INTACT = "It is intact already."
HEADROOM_SHARE = 20
"""One of so many manual snapshots is left to people: 5 of RDS's 100."""
LOOKED_AT = 120
"""Points whose snapshots are adopted already: those of several days, with an hourly one among them."""


@dataclass(frozen=True, kw_only=True)
class Capture:
    """
    What capturing needs; one object serves one invocation.

    Each invocation does what can be done now and says what is waited for. All of it may be repeated, and done by two
    deliveries of one schedule: the point's id follows from the schedule, its snapshot's name from the point's.
    """

    database: Database
    provider: Callable[[], Provider]
    points: Points
    executions: Executions
    now: Callable[[], datetime]
    second_region: str = ""

    def run(self, request: CaptureRequest) -> Captured:
        """
        Go on with the point.

        Raises `SnapshotRefused` when what the provider has is no recovery point, `ProviderStuck` when it takes too
        long, and what the port raises.
        """
        point = self.points.add(point_of(request, self.database))
        if point.restorable:
            return self._second(request, point)
        if point.state is not PointState.CAPTURING and point.state is not PointState.CAPTURED:
            raise SnapshotRefused(f"The recovery point {point.id} has failed before: {point.failure}", point=point.id)
        if point.execution != request.execution:
            if self.executions.running(point.execution):
                return _done(point, "Another delivery of the same schedule makes it.", elsewhere=True)
            point = self.points.note(point.id, execution=request.execution)
        self._refuse_late(request, point)
        if point.mechanism is Mechanism.HISTORY:
            return self._history(point)
        return self._snapshot(request, point)

    def _refuse_late(self, request: CaptureRequest, point: RecoveryPoint) -> None:
        limit = judging.LIMITS[point.tier]
        if self.now() - request.execution_started_at <= limit:
            return
        waited = f"after {int(limit.total_seconds()) // 60} minutes"
        what = f"The snapshot {point.provider_id} is still not available" if point.provider_id else "Nothing was begun"
        raise ProviderStuck(f"{what} {waited}; {point.id} has failed.", point=point.id, snapshot=point.provider_id)

    def _history(self, point: RecoveryPoint) -> Captured:
        """Make a point of the latest moment that can be restored."""
        provider = self.provider()
        source, window, now = provider.source(), provider.window(), self.now()
        encrypted = {each.name: each.value for each in provider.settings()}.get(ENCRYPTED, True)
        if (fault := judging.fault_of_history(window, encrypted=bool(encrypted), now=now)) or window is None:
            raise SnapshotRefused(f"The history of {source} is no recovery point: {fault}.", point=point.id)
        keep = timedelta(days=_plan_days(self.database, point.tier))
        note = judging.shortfall(window, keep, point.tier)
        facts = {"provider_id": source, "taken_at": window.latest, "reason": point.reason or note}
        return self._intact(
            point, f"It can be restored to {window.latest:%Y-%m-%d %H:%M:%S %Z}. {note}".strip(), **facts
        )

    def _snapshot(self, request: CaptureRequest, point: RecoveryPoint) -> Captured:
        provider = self.provider()
        source, there = provider.source(), provider.snapshots()
        chosen = self._chosen(request, point, there, provider)
        if chosen is None:
            return _waiting(point, "The provider takes a snapshot by itself before long.", PATIENT_SECONDS)
        found = next((each for each in there if each.id == chosen.id), chosen)
        name = f"The snapshot {found.id}"
        if found.progress is Progress.CREATING:
            return _waiting(point, f"{name} is being made.", self._look_again(request))
        if found.progress is not Progress.AVAILABLE:
            raise SnapshotRefused(f"{name} is {found.progress}.", point=point.id, snapshot=found.id)
        adopted = not found.manual
        since = point.started_at - judging.ADOPTABLE if adopted else point.started_at
        if fault := judging.fault_of_snapshot(found, source=source, since=since, now=self.now()):
            raise SnapshotRefused(f"{name} does not count: {fault}.", point=point.id, snapshot=found.id)
        size = found.size or 0
        facts = {"taken_at": found.taken_at, "adopted": adopted, "bytes_stored": size, "bytes_new": size}
        intact = self._intact(point, f"{name} is available.", **facts)
        if not self._goes_elsewhere(provider):
            return intact
        return intact.model_copy(update={"done": False, "wait_seconds": SOONEST_LOOK})

    def _goes_elsewhere(self, provider: Provider) -> bool:
        return bool(self.second_region) and provider.capabilities.second_region

    def _second(self, request: CaptureRequest, point: RecoveryPoint) -> Captured:
        """
        Have the snapshot of an intact point copied to the second region, and look until it is there.

        What fails here fails the run, and is told; it takes nothing from the point.
        """
        if point.mechanism is not Mechanism.SNAPSHOT or point.second_at:
            return _done(point, _INTACT)
        provider = self.provider()
        if not self._goes_elsewhere(provider):
            return _done(point, _INTACT)
        there = (each for each in provider.second_region_snapshots() if each.copied_from == point.provider_id)
        copy = next(there, None) or provider.copy_snapshot(point.provider_id)
        if copy.id != point.second_id:  # at once: what comes to nothing is removed with the point, too
            self.points.note(point.id, second_region=self.second_region, second_id=copy.id)
        name = f"The copy of {point.provider_id} in {self.second_region}"
        if copy.progress is Progress.CREATING:
            if self.now() - request.execution_started_at > judging.LIMITS[point.tier]:
                raise ProviderStuck(f"{name} is still not available.", point=point.id, snapshot=copy.id)
            return _waiting(point, f"{name} is being made.", self._look_again(request))
        if copy.progress is not Progress.AVAILABLE or not copy.encrypted:
            fault = str(copy.progress) if copy.encrypted else "not encrypted"
            raise SnapshotRefused(f"{name} does not count: it is {fault}.", point=point.id, snapshot=copy.id)
        self.points.note(point.id, second_at=self.now())
        return _done(point, f"{name} is available.")

    def _chosen(
        self,
        request: CaptureRequest,
        point: RecoveryPoint,
        there: tuple[ProviderSnapshot, ...],
        provider: Provider,
    ) -> ProviderSnapshot | None:
        """
        Return the snapshot that is the point's: adopted, asked for, or nothing while the provider's own is to come.

        Only a schedule waits for that, and only for the day's: an operator wants a point now, and what is kept for
        longer than the provider keeps its own has to be ours.
        """
        if point.provider_id:
            found = next((each for each in there if each.id == point.provider_id), None)
            if found is None:
                raise SnapshotRefused(f"The snapshot {point.provider_id} is gone: somebody deleted it.", point=point.id)
            return found
        # Asked for by an invocation that was cut off: nobody else would ever remove it.
        chosen = next((each for each in there if each.manual and each.name == snapshot_name(point)), None)
        if chosen is None and point.tier is Tier.DAILY:
            chosen = judging.adoptable(there, adopted=self._adopted(point), due=request.due)
            waits = request.scheduled_at is not None and self.now() - request.execution_started_at < judging.ADOPTABLE
            if chosen is None and waits and judging.takes_its_own(there, now=self.now()):
                return None
        if chosen is None:
            keep = point.started_at + timedelta(days=_plan_days(self.database, point.tier))
            if all(each.name != snapshot_name(point) for each in there):
                _refuse_the_last(provider.quota())
            chosen = provider.create_snapshot(snapshot_name(point), keep_until=keep)
        self.points.note(point.id, provider_id=chosen.id, adopted=not chosen.manual)
        return chosen

    def _look_again(self, request: CaptureRequest) -> int:
        passed = (self.now() - request.execution_started_at).total_seconds()
        return max(SOONEST_LOOK, min(int(passed / 10), LATEST_LOOK))

    def _adopted(self, point: RecoveryPoint) -> set[str]:
        recent = self.points.newest_first(self.database.name, limit=LOOKED_AT)
        return {each.provider_id for each in recent if each.adopted and each.id != point.id}

    def _intact(self, point: RecoveryPoint, sentence: str, **facts: object) -> Captured:
        now = self.now()
        try:
            self.points.advance(point.id, PointState.CAPTURED, captured_at=now, **facts)
            self.points.advance(point.id, PointState.INTACT, intact_at=now)
        except UnexpectedState:
            # Another invocation of the same event may have come so far meanwhile.
            if self.points.get(point.id).restorable:
                return _done(point, _INTACT)
            raise
        return _done(point, sentence, first=True)


def point_of(request: CaptureRequest, database: Database) -> RecoveryPoint:
    """
    Return the point that *request* is for, in its first state.

    Raises `BadRequest` where points of the tier are archives: those are another machine's work.
    """
    mechanism = database.tiers.mechanism(request.tier)
    if mechanism is Mechanism.ARCHIVE or request.kind is not Kind.FULL:
        raise BadRequest(
            f"{request.tier.capitalize()} points of {database.name} of the kind {request.kind} are archives.",
            hint="`holdfast backup` chooses the right machine.",
        )
    seed = f"{request.tier} {request.scheduled_at}" if request.scheduled_at else request.execution
    return RecoveryPoint(
        id=point_id(database.name, request.due, hashlib.sha256(seed.encode()).hexdigest()),
        database=database.name,
        tier=request.tier,
        kind=Kind.FULL,
        state=PointState.CAPTURING,
        started_at=request.due,
        taken_at=request.due,
        execution=request.execution,
        reason=request.reason,
        scheduled_at=request.scheduled_at or "",
        mechanism=mechanism,
    )


def snapshot_name(point: RecoveryPoint) -> str:
    """
    Return the name of a point's own snapshot, which the provider's adapter gives a prefix.

    It is the point's id without the database: identifiers of RDS have at most 63 characters.
    """
    return point.id.removeprefix(f"{point.database}-")


def _refuse_the_last(quota: Quota) -> None:
    """Raise `ProviderQuota` while some are left, for people: whoever wants one before a change must get it."""
    headroom = quota.limit // HEADROOM_SHARE
    if quota.left <= headroom:
        raise ProviderQuota(
            f"There are {quota.used} {quota.what} of {quota.limit}; the last {headroom} are left to people."
            if headroom
            else f"There are {quota.used} {quota.what} of {quota.limit}."
        )


def _plan_days(database: Database, tier: Tier) -> int:
    return {each: plan.keep_days for each, plan in database.tiers.all()}[tier]


def _done(point: RecoveryPoint, sentence: str, **facts: bool) -> Captured:
    return Captured.model_validate(
        {"database": point.database, "point_id": point.id, "done": True, "sentence": sentence, **facts}
    )


def _waiting(point: RecoveryPoint, sentence: str, seconds: int) -> Captured:
    return Captured(database=point.database, point_id=point.id, done=False, wait_seconds=seconds, sentence=sentence)
