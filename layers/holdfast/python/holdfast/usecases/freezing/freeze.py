"""Have the provider freeze a copy of the database, and make its login known to the backup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.configuration import Database, Provider
from holdfast.contracts.freezing import FreezeRequest, Frozen
from holdfast.errors import ProviderRefused, ProviderStuck, SnapshotLost
from holdfast.model.keys import copy_secret
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.ports import providers
from holdfast.ports.catalogue import Points
from holdfast.ports.providers import Copy, Progress
from holdfast.ports.vault import Vault
from holdfast.usecases.freezing.naming import copy_name

LONGEST = timedelta(hours=12)
"""How long a copy may take: an instance of many TB is restored within hours."""
LIFE = timedelta(hours=60)
"""When a provider that can removes a copy by itself: after the longest execution, and the freezing before it."""
SOONEST_LOOK, LATEST_LOOK = 5, 60
"""Seconds until the next look: a tenth of the time that has passed, within these bounds."""


@dataclass(frozen=True, kw_only=True)
class Freezing:
    """What freezing needs; one object serves one invocation. All of it may be repeated."""

    system: str
    database: Database
    provider: providers.Provider
    parameters: ConnectionParameters
    points: Points
    vault: Vault
    now: Callable[[], datetime]

    def run(self, request: FreezeRequest) -> Frozen:
        """
        Ask for the copy or look at it, and once it is there, put its login into a secret of its own.

        Raises `ProviderRefused` when the copy fails, `ProviderStuck` when it takes too long, `SnapshotLost` when
        the backup is over.
        """
        point = self.points.get(request.point_id)
        if point.state is not PointState.CAPTURING:
            raise SnapshotLost(f"The backup {point.id} is {point.state}; nothing is frozen for it.", point=point.id)
        if point.copy_secret:
            return self._answer(point, "The frozen copy is ready.", ready=True)
        copy = self._asked(point)
        if copy.progress is Progress.AVAILABLE:
            return self._ready(point, copy)
        if copy.progress is not Progress.CREATING:
            raise ProviderRefused(f"The frozen copy {copy.id} is {copy.progress}.", point=point.id, copy=copy.id)
        passed = self.now() - copy.created_at if copy.created_at else timedelta(0)
        if passed > LONGEST:
            raise ProviderStuck(f"The frozen copy {copy.id} is still not available.", point=point.id, copy=copy.id)
        return self._answer(point, f"The frozen copy {copy.id} is being made.", wait=passed)

    def _asked(self, point: RecoveryPoint) -> Copy:
        """Return the copy, asked for if it is not there yet."""
        name = copy_name(self.system, point)
        if there := next((each for each in self.provider.copies() if each.name == name), None):
            return there
        expires_at = self.now() + LIFE
        if self.database.provider is not Provider.RDS:
            return self.provider.create_copy(name, expires_at=expires_at)
        # An instance's data are of up to five minutes before: the moment that is asked for is the point's.
        window = self.provider.window()
        if window is None:
            return self._thawed_snapshot(point, name)
        point = self.points.note(point.id, copied_at=point.copied_at or window.latest)
        return self.provider.create_copy(name, at=point.copied_at, expires_at=expires_at)

    def _thawed_snapshot(self, point: RecoveryPoint, name: str) -> Copy:
        """Return an instance of the newest snapshot, where point-in-time recovery is switched off."""
        there = [each for each in self.provider.snapshots() if each.progress is Progress.AVAILABLE and each.taken_at]
        newest = max(there, key=lambda each: each.taken_at or each.created_at, default=None)
        if newest is None:
            raise ProviderRefused(
                f"{self.database.name} has neither a history nor a snapshot that a copy could be made of.",
                hint='Switch automated backups on, or set source = "live".',
            )
        self.points.note(point.id, copied_at=newest.taken_at)
        return self.provider.create_copy(name, snapshot_id=newest.id)

    def _ready(self, point: RecoveryPoint, copy: Copy) -> Frozen:
        login = self.provider.login(copy.id)
        name = copy_secret(self.system, point.database, point.id)
        text = self.parameters.text_at(login.host, login.port, user=login.user, password=login.password)
        self.vault.write(name, text)
        # Only the provider knows when a clone was frozen; it is never older than its own creation.
        moment = point.copied_at or copy.moment or copy.created_at
        point = self.points.note(point.id, copy_id=copy.id, copied_at=moment, copy_secret=name)
        if point.state is not PointState.CAPTURING:
            self.vault.remove(name)  # it failed meanwhile, and whoever thaws may have come before the secret
            raise SnapshotLost(f"The backup {point.id} is {point.state}; its frozen copy is not needed.")
        return self._answer(point, f"The frozen copy {copy.id} is ready.", ready=True)

    def _answer(
        self, point: RecoveryPoint, sentence: str, *, ready: bool = False, wait: timedelta = timedelta(0)
    ) -> Frozen:
        seconds = max(SOONEST_LOOK, min(int(wait.total_seconds() / 10), LATEST_LOOK))
        return Frozen(
            database=point.database,
            point_id=point.id,
            ready=ready,
            wait_seconds=0 if ready else seconds,
            sentence=sentence,
        )
