"""Each provider over its twin, alike for the tests that all of them must pass."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self

import boto3
import httpx
import psycopg

from holdfast.adapters.aws.rds import AuroraCluster, Elsewhere, RdsInstance
from holdfast.adapters.neon import Neon
from holdfast.ports.providers import Copy, Login, Progress, Provider
from holdfast_local.history import RecordedServer
from holdfast_local.neon import Fault as NeonFault
from holdfast_local.neon import Limits as NeonLimits
from holdfast_local.neon import NeonTwin
from holdfast_local.rds import Fault as RdsFault
from holdfast_local.rds import Limits as RdsLimits
from holdfast_local.rds import RdsTwin

MOST_SNAPSHOTS = 3
REGION, ELSEWHERE = "eu-central-1", "eu-west-1"
KEY_ELSEWHERE = "alias/holdfast/data"
USER, PASSWORD, DATABASE = "master", "correct horse", "shop"


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until *holds*."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


class World(Protocol):
    """One provider over its twin, with an empty database that is protected."""

    provider: Provider

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def run(self, statement: str, copy_id: str | None = None) -> Any:
        """Run *statement* in the source or in a copy; return the first value of its first row, if it has any."""

    def settle(self) -> None:
        """Wait until nothing is under way."""

    def break_next(self) -> None:
        """Let the next thing that is asked for end in failure."""

    def refuse(self, status: int, *, times: int = 1) -> None:
        """Answer the next calls with an error of *status*."""

    def forbid(self) -> None:
        """Accept the credentials no longer."""

    def lose(self) -> None:
        """Let the protected database be gone."""

    def secrets(self) -> list[str]:
        """Return what no message and no description may hold."""

    def switch_history_off(self) -> None:
        """Switch point-in-time recovery off."""


def available(world: World, name: str) -> Copy:
    """Return the copy *name* once it can be connected to."""

    def ready() -> bool:
        return any(each.name == name and each.progress is Progress.AVAILABLE for each in world.provider.copies())

    until(ready)
    return next(each for each in world.provider.copies() if each.name == name)


def _first(login: Login, database: str, statement: str) -> Any:
    with psycopg.connect(
        host=login.host, port=login.port, user=login.user, password=login.password, dbname=database, autocommit=True
    ) as session:
        cursor = session.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def neon(
    twin: NeonTwin,
    *,
    patience: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    **more: Any,
) -> Neon:
    """Return a provider over the twin's default branch."""
    return Neon(
        key=twin.key,
        project_id=twin.project.id,
        database="neondb",
        role="neondb_owner",
        sleep=sleep,
        now=now,
        base=twin.url,
        patience=patience,
        **more,
    )


class NeonWorld:
    """Neon: the default branch of a project."""

    def __init__(self, directory: Path, servers: type[RecordedServer] = RecordedServer) -> None:
        limits = NeonLimits(branches=8, manual_snapshots=MOST_SNAPSHOTS)
        self.twin = NeonTwin(directory, limits=limits, seconds=0.05, servers=servers)

    def __enter__(self) -> Self:
        self.twin.__enter__()
        self.provider = neon(self.twin)
        return self

    def __exit__(self, *_: object) -> None:
        self.twin.__exit__(None, None, None)

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Call the API of the project without any retry."""
        return httpx.request(
            method,
            f"{self.twin.url}/projects/{self.twin.project.id}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.twin.key}"},
            timeout=30,
        )

    def run(self, statement: str, copy_id: str | None = None) -> Any:
        """Run *statement* as the project's role."""
        return _first(self.provider.login(copy_id or self.provider.source()), "neondb", statement)

    def settle(self) -> None:
        """Wait until no operation runs."""
        until(lambda: all(each.ended_at for each in self.twin.project.operations.all()))

    def break_next(self) -> None:
        """Let the next operation fail."""
        self.twin.project.operations.fail_next("the storage is full")

    def refuse(self, status: int, *, times: int = 1) -> None:
        """Answer the next calls with an error of *status*."""
        self.twin.api.faults.append(NeonFault(status=status, times=times))
        self.provider = neon(self.twin, patience=0.5)

    def forbid(self) -> None:
        """Revoke the key."""
        self.twin.api.revoke()

    def secrets(self) -> list[str]:
        """Return the API's key and the passwords of all branches."""
        branches = self.twin.project.branches.values()
        return [self.twin.key, *(password for each in branches for password in each.passwords.values())]

    def lose(self) -> None:
        """Let the project be another."""
        self.twin.project.id = "another"

    def switch_history_off(self) -> None:
        """Keep no history."""
        self.call("PATCH", "", {"project": {"history_retention_seconds": 0}})


class _RdsWorld:
    def __init__(self, directory: Path, servers: type[RecordedServer] = RecordedServer) -> None:
        limits = RdsLimits(manual_snapshots=MOST_SNAPSHOTS)
        self.twin = RdsTwin(directory, limits=limits, seconds=0.05, servers=servers)

    def client(self, region: str = REGION, **retries: Any) -> Any:
        """Return a client of the twin that retries once, or as *retries* says."""
        return boto3.client(
            "rds",
            region_name=region,
            endpoint_url=self.twin.url,
            config=boto3.session.Config(retries=retries or {"max_attempts": 1}),
        )

    def __exit__(self, *_: object) -> None:
        self.twin.__exit__(None, None, None)

    def settle(self) -> None:
        """Wait until no job runs."""
        self.twin.account.settle()

    def snapshot_documents(self, region: str) -> list[Any]:
        """Return the snapshots of a region, of instances and clusters, as RDS describes them."""
        kinds = ("DBSnapshot", "DBClusterSnapshot")
        return [each.document for kind in kinds for each in self.twin.account.all(kind, region)]

    def break_next(self) -> None:
        """Let the next job fail."""
        self.twin.account.break_next = True

    def refuse(self, status: int, *, times: int = 1) -> None:
        """Answer the next calls with an error of *status*."""
        code = "Throttling" if status in {423, 429, 503} else "InternalFailure"
        self.twin.api.faults.append(RdsFault(code=code, status=status, times=times))

    def forbid(self) -> None:
        """Accept the credentials no longer."""
        self.twin.api.faults.append(RdsFault(code="AccessDenied", status=403, times=1_000))

    def secrets(self) -> list[str]:
        """Return the master's password and the caller's credentials."""
        return [PASSWORD, *(os.environ[name] for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"))]


class RdsWorld(_RdsWorld):
    """RDS: an encrypted instance with a network and groups of its own."""

    def __enter__(self) -> Self:
        self.twin.__enter__()
        self.client().create_db_instance(
            DBInstanceIdentifier="shop",
            DBInstanceClass="db.r8g.large",
            Engine="postgres",
            MasterUsername=USER,
            MasterUserPassword=PASSWORD,
            DBName=DATABASE,
            StorageEncrypted=True,
            KmsKeyId="alias/shop",
            BackupRetentionPeriod=7,
            MultiAZ=True,
            DeletionProtection=True,
            DBSubnetGroupName="private",
            DBParameterGroupName="tuned",
            VpcSecurityGroupIds=["sg-one", "sg-two"],
            Tags=[{"Key": "team", "Value": "shop"}],
        )
        self.settle()
        self.provider = RdsInstance(self.client(), "shop", second=Elsewhere(self.client(ELSEWHERE), KEY_ELSEWHERE))
        return self

    def run(self, statement: str, copy_id: str | None = None) -> Any:
        """Run *statement* as the master user."""
        return _first(_as_master(self.provider.login(copy_id or "shop")), DATABASE, statement)

    def lose(self) -> None:
        """Delete the instance."""
        self.client().modify_db_instance(DBInstanceIdentifier="shop", DeletionProtection=False)
        self.settle()
        self.client().delete_db_instance(DBInstanceIdentifier="shop", SkipFinalSnapshot=True)
        self.settle()

    def switch_history_off(self) -> None:
        """Switch automated backups off."""
        self.client().modify_db_instance(DBInstanceIdentifier="shop", BackupRetentionPeriod=0)
        for each in self.twin.account.all("DBInstance", REGION):
            each.document.pop("LatestRestorableTime", None)
        self.settle()


class AuroraWorld(_RdsWorld):
    """Aurora: an encrypted cluster with one instance."""

    def __enter__(self) -> Self:
        self.twin.__enter__()
        self.client().create_db_cluster(
            DBClusterIdentifier="shop",
            Engine="aurora-postgresql",
            MasterUsername=USER,
            MasterUserPassword=PASSWORD,
            DatabaseName=DATABASE,
            StorageEncrypted=True,
            KmsKeyId="alias/shop",
            DeletionProtection=True,
            DBSubnetGroupName="private",
            DBClusterParameterGroupName="tuned",
            VpcSecurityGroupIds=["sg-one", "sg-two"],
            Tags=[{"Key": "team", "Value": "shop"}],
        )
        self.settle()
        self.client().create_db_instance(
            DBInstanceIdentifier="shop-1",
            DBInstanceClass="db.r8g.large",
            Engine="aurora-postgresql",
            DBClusterIdentifier="shop",
        )
        self.settle()
        self.provider = AuroraCluster(self.client(), "shop", second=Elsewhere(self.client(ELSEWHERE), KEY_ELSEWHERE))
        return self

    def run(self, statement: str, copy_id: str | None = None) -> Any:
        """Run *statement* as the master user."""
        return _first(_as_master(self.provider.login(copy_id or "shop")), DATABASE, statement)

    def lose(self) -> None:
        """Delete the cluster."""
        self.client().modify_db_cluster(DBClusterIdentifier="shop", DeletionProtection=False)
        self.settle()
        self.client().delete_db_instance(DBInstanceIdentifier="shop-1")
        self.client().delete_db_cluster(DBClusterIdentifier="shop", SkipFinalSnapshot=True)
        self.settle()

    def switch_history_off(self) -> None:
        """Do what nobody can with Aurora: let it tell no window."""
        for each in self.twin.account.all("DBCluster", REGION):
            each.history_from = None
            each.document.pop("LatestRestorableTime", None)


def _as_master(login: Login) -> Login:
    return Login(host=login.host, port=login.port, user=USER, password=PASSWORD)


WORLDS: dict[str, Callable[[Path, type[RecordedServer]], World]] = {
    "neon": NeonWorld,
    "rds": RdsWorld,
    "aurora": AuroraWorld,
}
