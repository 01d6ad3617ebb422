"""The frozen copy of a backup: made once, connected to by its own login, and always removed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.providers.worlds import DATABASE, PASSWORD, USER, World, available

from fakes import MemoryExecutions, MemoryPoints, MemoryVault
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.configuration import Configuration, Database, parse
from holdfast.contracts.freezing import FreezeRequest, Frozen, Swept, Thawed, ThawRequest
from holdfast.errors import ProviderMissing, ProviderRefused, ProviderStuck, ProviderUnreachable, SnapshotLost
from holdfast.model.points import Kind, PointState, RecoveryPoint, Tier
from holdfast.ports.providers import Progress
from holdfast.usecases.freezing.freeze import Freezing
from holdfast.usecases.freezing.naming import copy_name, is_of_system
from holdfast.usecases.freezing.sweep import Sweep
from holdfast.usecases.freezing.thaw import thaw

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SYSTEM = "holdfast"
PLACES: dict[str, dict[str, Any]] = {
    "rds": {"rds": {"instance": "shop"}},
    "aurora": {"aurora": {"cluster": "shop"}},
    "neon": {"neon": {"project": "p"}},
}


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Frost:
    """Backups of the database of a world that are taken of frozen copies."""

    world: World
    provider: str
    points: MemoryPoints = field(default_factory=MemoryPoints)
    executions: MemoryExecutions = field(default_factory=MemoryExecutions)
    vault: MemoryVault = field(default_factory=MemoryVault)

    @property
    def configuration(self) -> Configuration:
        given = {"provider": self.provider, "source": "copy", **PLACES[self.provider]}
        return parse(json.dumps({"databases": {"shop": given, "other": {"provider": "postgres"}}}))

    def begin(self, number: int = 1, database: str = "shop") -> RecoveryPoint:
        """Begin a backup that runs."""
        execution = f"arn:aws:states:eu-central-1:1:execution:holdfast-backup-internet:{number}"
        self.executions.alive.add(execution)
        started = NOON + timedelta(hours=number)
        return self.points.add(
            RecoveryPoint(
                id=f"{database}-{started:%Y%m%dt%H%M%Sz}-{number:06x}",
                database=database,
                tier=Tier.WEEKLY,
                kind=Kind.FULL,
                state=PointState.CAPTURING,
                started_at=started,
                taken_at=started,
                execution=execution,
            )
        )

    def freeze(self, point: RecoveryPoint, *, ahead: timedelta = timedelta(0)) -> Frozen:
        """Ask once."""
        found = Freezing(
            system=SYSTEM,
            database=self.configuration.databases["shop"],
            provider=self.world.provider,
            parameters=ConnectionParameters("db.example", 5432, USER, PASSWORD, DATABASE, sslmode="prefer"),
            points=self.points,
            vault=self.vault,
            now=lambda: now() + ahead,
        )
        return found.run(FreezeRequest(database="shop", point_id=point.id))

    def frozen(self, point: RecoveryPoint) -> RecoveryPoint:
        """Ask until the copy is there, and return the point."""
        deadline = time.monotonic() + 60
        while not self.freeze(point).ready:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self.points.get(point.id)

    def thaw(self, point: RecoveryPoint) -> Thawed:
        request = ThawRequest(database="shop", point_id=point.id)
        return thaw(request, system=SYSTEM, provider=self.world.provider, points=self.points, vault=self.vault)

    def sweep(self) -> Swept:
        def provider(_: Database) -> Any:
            return self.world.provider

        return Sweep(
            configuration=self.configuration,
            provider=provider,
            points=self.points,
            executions=self.executions,
            vault=self.vault,
        ).run()

    def copies(self) -> list[str]:
        """Return the names of the copies that are there."""
        self.world.settle()
        return sorted(each.name for each in self.world.provider.copies())


@pytest.fixture
def frost(hollow: World, request: pytest.FixtureRequest) -> Frost:
    return Frost(hollow, request.node.callspec.params["hollow"])


def test_a_copy_is_made_once_known_by_its_login_and_removed_with_it(frost: Frost) -> None:
    point = frost.begin()

    frozen = frost.frozen(point)

    (copy,) = frost.world.provider.copies()
    login = frost.world.provider.login(copy.id)
    parameters = ConnectionParameters.from_secret(frost.vault.secrets[frozen.copy_secret])
    assert (frozen.copy_id, copy.name) == (copy.id, copy_name(SYSTEM, point))
    assert (parameters.host, parameters.port, parameters.dbname) == (login.host, login.port, DATABASE)
    assert (parameters.user, parameters.password) == ((login.user, login.password) if login.user else (USER, PASSWORD))
    assert parameters.sslmode == "prefer"
    assert frozen.copied_at is not None
    assert frozen.copied_at <= now()
    assert frost.freeze(point).ready

    assert frost.thaw(point).removed == (copy.id,)
    assert (frost.copies(), frost.vault.secrets) == ([], {})
    assert frost.thaw(point).removed == ()


def test_a_copy_is_of_no_later_moment_than_the_point_tells(frost: Frost) -> None:
    before = now()

    frozen = frost.frozen(frost.begin())

    # A point that says it is newer than it is would hide lost rows.
    assert frozen.copied_at is not None
    assert frozen.copied_at <= before + timedelta(seconds=30)


def test_a_copy_that_the_provider_cannot_make_is_said_so_and_removed(frost: Frost) -> None:
    point = frost.begin()
    frost.world.break_next()
    frost.freeze(point)
    frost.world.settle()

    with pytest.raises(ProviderRefused, match=r"The frozen copy .* is failed"):
        frost.freeze(point)
    assert frost.vault.secrets == {}
    assert len(frost.thaw(point).removed) == 1
    assert frost.copies() == []


def test_a_copy_that_is_never_there_is_given_up(frost: Frost, monkeypatch: pytest.MonkeyPatch) -> None:
    point = frost.begin()
    frost.freeze(point)
    frost.world.settle()
    stuck = tuple(replace(each, progress=Progress.CREATING) for each in frost.world.provider.copies())
    monkeypatch.setattr(frost.world.provider, "copies", lambda: stuck)

    with pytest.raises(ProviderStuck, match="is still not available"):
        frost.freeze(point, ahead=timedelta(hours=13))


def test_nothing_is_frozen_for_a_backup_that_is_over(frost: Frost) -> None:
    point = frost.begin()
    frost.points.advance(point.id, PointState.FAILED, failure="It was stopped.")

    with pytest.raises(SnapshotLost, match="nothing is frozen for it"):
        frost.freeze(point)
    assert frost.copies() == []


def test_a_database_that_is_gone_has_no_copy(frost: Frost) -> None:
    point = frost.begin()
    frost.world.lose()

    with pytest.raises(ProviderMissing):
        frost.freeze(point)
    assert frost.vault.secrets == {}


def test_an_orphan_is_swept_and_a_running_backup_s_copy_is_not(frost: Frost) -> None:
    dead, alive = frost.begin(1), frost.begin(2)
    frost.frozen(dead)
    frost.frozen(alive)
    frost.executions.alive.discard(dead.execution)  # it was stopped: nothing thaws

    swept = frost.sweep()

    assert swept.copies == (frost.points.get(dead.id).copy_id,)
    assert swept.secrets == (frost.points.get(dead.id).copy_secret,)
    assert frost.copies() == [copy_name(SYSTEM, alive)]
    assert list(frost.vault.secrets) == [frost.points.get(alive.id).copy_secret]
    assert frost.sweep() == Swept(copies=(), secrets=())


def test_nothing_of_anybody_else_is_ever_swept(frost: Frost) -> None:
    foreign = ["holdfast-2-copy-20260601t120000z-00000a", "drill-1", "holdfast-copy-of-mine"]
    for name in foreign:
        frost.world.provider.create_copy(name)
        available(frost.world, name)
    frost.vault.secrets["holdfast/shop"] = "the database's own"
    frost.vault.secrets["holdfast-2/copies/shop/shop-20260601t120000z-00000a"] = "another system's"

    assert frost.sweep() == Swept(copies=(), secrets=())
    assert frost.copies() == sorted(foreign)
    assert len(frost.vault.secrets) == 2


def test_a_provider_that_does_not_answer_is_named_and_logins_go_all_the_same(
    frost: Frost, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = frost.begin()
    frost.points.advance(dead.id, PointState.FAILED, failure="It was stopped.")
    frost.vault.secrets[f"holdfast/copies/shop/{dead.id}"] = "a login"

    def copies() -> Any:
        raise ProviderUnreachable("Neon does not answer.")

    monkeypatch.setattr(frost.world.provider, "copies", copies)

    swept = frost.sweep()

    assert swept.failed == ("shop: Neon does not answer.",)
    assert (len(swept.secrets), frost.vault.secrets) == (1, {})


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("holdfast-copy-20260601t120000z-00000a", True),
        ("holdfast-2-copy-20260601t120000z-00000a", False),
        ("my-holdfast-copy-20260601t120000z-00000a", False),
        ("holdfast-copy-20260601t120000z-00000a-1", False),
        ("holdfast-copy-mine", False),
        ("holdfast", False),
    ],
)
def test_copies_of_a_system_are_told_by_their_whole_name(name: str, ours: bool) -> None:
    assert is_of_system(name, SYSTEM) == ours


def test_names_of_copies_fit_into_identifiers_of_rds() -> None:
    point = RecoveryPoint(
        id=f"{'d' * 32}-20260601t120000z-00000a",
        database="d" * 32,
        tier=Tier.WEEKLY,
        kind=Kind.FULL,
        state=PointState.CAPTURING,
        started_at=NOON,
        taken_at=NOON,
        execution="arn",
    )

    assert len(f"holdfast-{copy_name('s' * 20, point)}-1") <= 63
