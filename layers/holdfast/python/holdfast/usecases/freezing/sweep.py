"""Remove the copies and logins that a backup could not remove itself: it was stopped, or the provider was away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from holdfast.configuration import Configuration, Database
from holdfast.contracts.freezing import Swept
from holdfast.errors import HoldfastError
from holdfast.model.keys import copy_secret, copy_secrets
from holdfast.model.points import PointState, RecoveryPoint
from holdfast.ports.catalogue import Points
from holdfast.ports.executions import Executions
from holdfast.ports.providers import Progress, Provider
from holdfast.ports.vault import Vault
from holdfast.usecases.freezing.naming import copy_name, is_of_system

LOOKED_AT = 120
"""Points among which the running ones are: those of two days, with an hourly one among them."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """
    What sweeping needs.

    A copy is an orphan when it bears this system's name and no backup that runs is its own. Nothing else is touched: a
    copy of another system, a restore's, or anything that we did not make.
    """

    configuration: Configuration
    provider: Callable[[Database], Provider]
    points: Points
    executions: Executions
    vault: Vault

    def run(self) -> Swept:
        """
        Remove what no running backup needs; one provider that does not answer keeps nobody else's copies.

        May be repeated at any time, also while backups start: a backup's point is there before its copy.
        """
        system = self.configuration.holdfast.name
        removed: list[str] = []
        failed: list[str] = []
        # What is listed first and has no running backup afterwards can have none any more.
        secrets = self.vault.names(copy_secrets(system))
        for database in self.configuration.databases.values():
            if not database.at_provider:
                continue
            try:
                removed += self._copies(database, system)
            except HoldfastError as error:
                failed.append(f"{database.name}: {error.message}")
        needed = {copy_secret(system, each.database, each.id) for each in self._running()}
        useless = tuple(name for name in secrets if name not in needed)
        for name in useless:
            self.vault.remove(name)
        return Swept(copies=tuple(removed), secrets=useless, failed=tuple(failed))

    def _copies(self, database: Database, system: str) -> list[str]:
        provider = self.provider(database)
        there = [
            each
            for each in provider.copies()
            if is_of_system(each.name, system) and each.progress is not Progress.DELETING
        ]
        # Another database of the same server has its copies here, too.
        needed = {copy_name(system, each) for each in self._running()} if there else set()
        return [each.id for each in there if each.name not in needed and provider.delete_copy(each.id)]

    def _running(self) -> Iterator[RecoveryPoint]:
        for name in self.configuration.databases:
            for point in self.points.newest_first(name, limit=LOOKED_AT):
                if point.state is PointState.CAPTURING and self.executions.running(point.execution):
                    yield point
