"""One Neon project: its branches, computes and snapshots, each with a real server behind it."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from psycopg import sql

from holdfast_local.history import Moment, RecordedServer
from holdfast_local.neon.errors import Refused, missing
from holdfast_local.neon.operations import Operations, Step
from holdfast_local.neon.things import HOST, REGION, Branch, Document, Endpoint, Snapshot, moment
from holdfast_local.postgres.starting import find_port

Thing = TypeVar("Thing", Branch, Snapshot, Endpoint)

OWNER, DATABASE = "neondb_owner", "neondb"
LONGEST_EXPIRY = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the plan allows; the defaults are those of the Launch plan."""

    branches: int = 10
    root_branches: int = 5
    manual_snapshots: int = 100
    history_seconds: int = 86_400
    plan: str = "launch_v3"


LAUNCH = Limits()


class Project:
    """
    The state behind the API of one project. Methods raise `Refused` as Neon does.

    It differs from Neon in this: history begins when the twin starts, computes never suspend by themselves,
    and every read_write compute is a server of its own at `HOST`, so that host names of Neon stay names.
    """

    def __init__(
        self,
        directory: Path,
        *,
        major: int = 18,
        limits: Limits = LAUNCH,
        seconds: float = 0.2,
        servers: type[RecordedServer] = RecordedServer,
    ) -> None:
        self._directory, self._major, self.limits, self._servers = directory, major, limits, servers
        self.id = new_id("proj")
        self.created_at = now()
        self.history_seconds = limits.history_seconds
        self.store_passwords = True
        self.operations = Operations(self.id, seconds=seconds)
        self.branches: dict[str, Branch] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.schedules: dict[str, list[Document]] = {}
        self.annotations: dict[str, Document] = {}

    def start(self) -> None:
        """Make the default branch with its compute, the role and the database that Neon gives to each project."""
        storage = self._servers(self.place(), major=self._major)
        branch = Branch(id=new_id("br"), project_id=self.id, name="main", created_at=now(), default=True)
        branch.storage, branch.state = storage, "ready"
        self.branches[branch.id] = branch
        endpoint = self.new_endpoint(branch)
        storage.start(port=endpoint.port)
        branch.passwords[OWNER] = secrets.token_urlsafe(12)
        _found(storage, branch.passwords[OWNER])
        endpoint.state = "active"

    def stop(self) -> None:
        """Stop and remove every server."""
        self.operations.stop()
        storages = [branch.storage for branch in self.branches.values()]
        storages += [snapshot.storage for snapshot in self.snapshots.values()]
        for storage in storages:
            if storage is not None:
                storage.remove()
        shutil.rmtree(self._directory, ignore_errors=True)

    def document(self) -> Document:
        """Return the project as the API shows it."""
        month = self.created_at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return {
            "id": self.id,
            "name": "holdfast-local",
            "platform_id": "aws",
            "region_id": REGION,
            "pg_version": self._major,
            "proxy_host": f"{REGION.removeprefix('aws-')}.aws.neon.tech",
            "provisioner": "k8s-neonvm",
            "store_passwords": self.store_passwords,
            "history_retention_seconds": self.history_seconds,
            "branch_logical_size_limit": 16_777_216,
            "branch_logical_size_limit_bytes": 17_592_186_044_416,
            "creation_source": "console",
            "owner_id": "local",
            "owner": {
                "email": "owner@example.com",
                "name": "Holdfast",
                "branches_limit": self.limits.branches,
                "subscription_type": self.limits.plan,
            },
            "created_at": moment(self.created_at),
            "updated_at": moment(self.created_at),
            "consumption_period_start": moment(month),
            "consumption_period_end": moment(month + timedelta(days=31)),
            "data_storage_bytes_hour": 0,
            **dict.fromkeys(
                (
                    "active_time_seconds",
                    "compute_time_seconds",
                    "cpu_used_sec",
                    "written_data_bytes",
                    "data_transfer_bytes",
                ),
                0,
            ),
        }

    def branch(self, branch_id: str) -> Branch:
        """Return a branch; raises 404."""
        return _get(self.branches, branch_id, "branch")

    def snapshot(self, snapshot_id: str) -> Snapshot:
        """Return a snapshot; raises 404."""
        return _get(self.snapshots, snapshot_id, "snapshot")

    def endpoints_of(self, branch: Branch) -> list[Endpoint]:
        """Return the computes of a branch."""
        return [each for each in self.endpoints.values() if each.branch_id == branch.id]

    def uri(self, branch: Branch, *, role: str, database: str, pooled: bool) -> str:
        """Return a connection string; a pooled one names a host that only real Neon has."""
        computes = self.endpoints_of(branch)
        if not computes:
            raise Refused(404, "no read-write endpoint for the branch")
        if role not in branch.passwords:
            raise missing("role")
        password = branch.passwords[role]
        endpoint = computes[0]
        at = f"{endpoint.id}-pooler.{endpoint.host.partition('.')[2]}" if pooled else f"{HOST}:{endpoint.port}"
        return f"postgresql://{role}:{password}@{at}/{database}"

    def starting(self, branch: Branch, endpoint: Endpoint) -> Step:
        """Return the operation that starts a branch's server at a compute's address."""

        def work() -> None:
            storage_of(branch).start(port=endpoint.port)
            endpoint.state = "active"

        return Step(action="start_compute", branch_id=branch.id, endpoint_id=endpoint.id, work=work)

    def suspend(self, endpoint: Endpoint) -> None:
        """Stop the server behind a compute."""
        storage = self.branch(endpoint.branch_id).storage
        if storage is not None:
            storage.stop()
        endpoint.state = "idle"

    def refuse_taken(self, name: str) -> None:
        """Raise 409 when a branch has *name* already."""
        if any(each.name == name for each in self.branches.values()):
            raise Refused(409, "branch with the provided name already exists", code="BRANCH_ALREADY_EXISTS")

    def refuse_root_beyond_limit(self) -> None:
        """Raise 422 when the plan allows no further branch without a parent."""
        if sum(each.is_root for each in self.branches.values()) >= self.limits.root_branches:
            raise Refused(422, "root branches limit exceeded", code="ROOT_BRANCHES_LIMIT_EXCEEDED")

    def moment_of(self, branch: Branch, time: str | None, lsn: str | None) -> Moment:
        """Return the moment asked for; raises 400 for one outside of the branch's history."""
        if time and lsn:
            raise Refused(400, "only one of timestamp and LSN can be specified")
        if time is None:
            return Moment(lsn=lsn)
        asked = instant(time)
        oldest = max(branch.created_at, now() - timedelta(seconds=self.history_seconds))
        if not oldest <= asked <= now():
            raise Refused(400, "timestamp is outside of the history retention window")
        return Moment(time=asked)

    def default(self) -> Branch:
        """Return the default branch."""
        return next(each for each in self.branches.values() if each.default)

    def new_endpoint(self, branch: Branch, kind: str = "read_write") -> Endpoint:
        """Give *branch* a compute, which does not run yet, at a free port of its own."""
        port = find_port(None, HOST, lambda _: True)
        endpoint = Endpoint(
            id=new_id("ep"), project_id=self.id, branch_id=branch.id, port=port, created_at=now(), type=kind
        )
        self.endpoints[endpoint.id] = endpoint
        return endpoint

    def place(self) -> Path:
        """Return a directory for a new server."""
        return self._directory / new_id("server")


def storage_of(thing: Branch | Snapshot) -> RecordedServer:
    """Return what lies behind a branch or snapshot; an error when its operation has not run."""
    if thing.storage is None:
        raise RuntimeError(f"{thing.id} is not ready yet")
    return thing.storage


def _found(storage: RecordedServer, password: str) -> None:
    """Make the roles and the database that Neon gives to each project."""
    with storage.session() as session:
        session.execute("CREATE ROLE neon_superuser NOLOGIN CREATEDB CREATEROLE BYPASSRLS")
        session.execute("GRANT pg_read_all_data, pg_write_all_data TO neon_superuser")
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD {} IN ROLE neon_superuser").format(
                sql.Identifier(OWNER), sql.Literal(password)
            )
        )
        session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))


def size_of(storage: RecordedServer) -> int:
    """Return the bytes of all databases of a running server."""
    with storage.session() as session:
        found = session.execute("SELECT sum(pg_catalog.pg_database_size(oid))::bigint FROM pg_catalog.pg_database")
        row = found.fetchone()
        return int(row[0]) if row else 0


def _get(things: dict[str, Thing], identifier: str, what: str) -> Thing:
    if identifier not in things:
        raise missing(what)
    return things[identifier]


def expiry(text: str | None, *, longest: timedelta | None = LONGEST_EXPIRY) -> datetime | None:
    """Return when a thing expires; raises 400 for the past and for what is further away than *longest*."""
    if text is None:
        return None
    expires = instant(text)
    if expires <= now() or (longest is not None and expires > now() + longest):
        raise Refused(400, "expires_at must be in the future, at most 30 days away")
    return expires


def instant(text: str) -> datetime:
    """Return the moment that RFC 3339 *text* names; raises 400."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "a timestamp must be written as RFC 3339") from None
    if found.tzinfo is None:
        raise Refused(400, "a timestamp must have a time zone")
    return found.astimezone(UTC)


def new_id(kind: str) -> str:
    """Return an identifier such as `br-1f2e3d4c`."""
    return f"{kind}-{secrets.token_hex(4)}"


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
