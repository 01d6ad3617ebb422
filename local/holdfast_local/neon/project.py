"""One Neon project: its branches, computes and snapshots, each with a real server behind it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg import sql

from holdfast_local.history import Moment, RecordedServer
from holdfast_local.neon.errors import Refused, missing
from holdfast_local.neon.operations import Operations, Step
from holdfast_local.neon.things import HOST, REGION, Branch, Document, Endpoint, Operation, Snapshot, moment
from holdfast_local.postgres.starting import find_port

Thing = TypeVar("Thing", Branch, Snapshot, Endpoint)

OWNER, DATABASE = "neondb_owner", "neondb"
LONGEST_EXPIRY = timedelta(days=30)
_EXPIRING = {"default": "default", "protected": "protected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the plan allows; the defaults are those of the Launch plan."""

    branches: int = 10
    root_branches: int = 5
    manual_snapshots: int = 100
    history_seconds: int = 86_400


LAUNCH = Limits()


class Project:
    """
    The state behind the API of one project. Methods raise `Refused` as Neon does.

    It differs from Neon in this: history begins when the twin starts, computes never suspend by themselves,
    and every read_write compute is a server of its own at `HOST`, so that host names of Neon stay names.
    """

    def __init__(self, directory: Path, *, major: int = 18, limits: Limits = LAUNCH, seconds: float = 0.2) -> None:
        self._directory, self._major, self.limits = directory, major, limits
        self.id = _name("proj")
        self.created_at = _now()
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
        storage = RecordedServer(self._place(), major=self._major)
        branch = Branch(id=_name("br"), project_id=self.id, name="main", created_at=_now(), default=True)
        branch.storage, branch.state = storage, "ready"
        self.branches[branch.id] = branch
        endpoint = self._endpoint(branch)
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

    # Looking up

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

    # Changing

    def create_branch(self, wanted: Document, computes: list[Document]) -> tuple[Branch, list[Operation]]:
        """Make a branch of another's head, or of a moment of its history."""
        self.operations.refuse_while_busy()
        parent = self.branch(wanted["parent_id"]) if "parent_id" in wanted else self._default()
        self._refuse_new_branch(wanted, parent)
        at = self._moment(parent, wanted.get("parent_timestamp"), wanted.get("parent_lsn"))
        branch = Branch(
            id=_name("br"),
            project_id=self.id,
            name=wanted.get("name") or _name("br"),
            created_at=_now(),
            parent_id=parent.id,
            parent_lsn=at.lsn,
            parent_timestamp=at.time or _now(),
            protected=bool(wanted.get("protected")),
            expires_at=_expiry(wanted.get("expires_at")),
        )
        self.branches[branch.id] = branch
        steps = [Step(action="create_branch", branch_id=branch.id, work=lambda: self._grow(branch, parent, at))]
        steps += [self._starting(branch, self._endpoint(branch, each.get("type", "read_write"))) for each in computes]
        return branch, self.operations.schedule(steps)

    def change_branch(self, branch: Branch, wanted: Document) -> list[Operation]:
        """Rename, protect or set the expiry of a branch."""
        self.operations.refuse_while_busy()
        if wanted.get("name") not in {None, branch.name}:
            self._refuse_taken(wanted["name"])
            branch.name = wanted["name"]
        if "expires_at" in wanted:
            self._refuse_expiry(branch)
            branch.expires_at = _expiry(wanted["expires_at"])
        branch.protected = bool(wanted.get("protected", branch.protected))
        return self.operations.schedule([Step(action="timeline_update_protected_config", branch_id=branch.id)])

    def delete_branch(self, branch: Branch) -> list[Operation]:
        """Delete a branch with its computes."""
        self.operations.refuse_while_busy()
        if branch.protected:
            raise Refused(422, "cannot delete protected branch")
        if branch.default:
            raise Refused(422, "cannot delete the default branch")
        if any(each.parent_id == branch.id for each in self.branches.values()):
            raise Refused(422, "cannot delete branch that has children")
        steps = [
            Step(action="suspend_compute", branch_id=branch.id, endpoint_id=each.id, work=_dropping(self, each))
            for each in self.endpoints_of(branch)
        ]
        steps.append(Step(action="delete_timeline", branch_id=branch.id, work=lambda: self._fell(branch)))
        return self.operations.schedule(steps)

    def restore_branch(self, branch: Branch, wanted: Document) -> list[Operation]:
        """Put another branch's head, or a moment of a branch's history, in place of *branch*; its address stays."""
        self.operations.refuse_while_busy()
        source = self.branch(wanted["source_branch_id"])
        kept = wanted.get("preserve_under_name")
        time, lsn = wanted.get("source_timestamp"), wanted.get("source_lsn")
        if branch.protected:
            raise Refused(422, "cannot reset protected branch")
        if source is branch and not (time or lsn):
            raise Refused(400, "source_timestamp or source_lsn is required to restore a branch to its own past")
        children = any(each.parent_id == branch.id for each in self.branches.values())
        if kept is None and (source is branch or children):
            raise Refused(400, "preserve_under_name is required")
        if not branch.is_root:
            raise Refused(422, "only root branches can be restored")
        if kept is not None:
            self._refuse_taken(kept)
            self._refuse_root_beyond_limit()
        at = self._moment(source, time, lsn)
        branch.state = "resetting"
        computes = self.endpoints_of(branch)
        steps = [Step(action="suspend_compute", branch_id=branch.id, endpoint_id=each.id) for each in computes]
        steps.append(
            Step(action="create_timeline", branch_id=branch.id, work=lambda: self._replace(branch, source, at, kept))
        )
        steps += [self._starting(branch, each) for each in computes]
        return self.operations.schedule(steps)

    def create_snapshot(
        self, branch: Branch, *, name: str | None, time: str | None, lsn: str | None, expires_at: str | None
    ) -> tuple[Snapshot, list[Operation]]:
        """Take a snapshot of a root branch, of now or of a moment of its history."""
        self.operations.refuse_while_busy()
        if not branch.is_root:
            raise Refused(422, "snapshots can be created for root branches only")
        if sum(each.manual for each in self.snapshots.values()) >= self.limits.manual_snapshots:
            raise Refused(422, "snapshots limit exceeded", code="SNAPSHOTS_LIMIT_EXCEEDED")
        at = self._moment(branch, time, lsn)
        snapshot = Snapshot(
            id=_name("snap"),
            name=name or f"{branch.name} at {moment(_now())}",
            source_branch_id=branch.id,
            created_at=_now(),
            timestamp=at.time or _now(),
            lsn=at.lsn,
            expires_at=_expiry(expires_at, longest=None),
        )
        self.snapshots[snapshot.id] = snapshot
        step = Step(action="create_timeline", branch_id=branch.id, work=lambda: self._freeze(snapshot, branch, at))
        return snapshot, self.operations.schedule([step])

    def delete_snapshot(self, snapshot: Snapshot) -> list[Operation]:
        """Delete a snapshot for good."""
        self.operations.refuse_while_busy()

        def work() -> None:
            del self.snapshots[snapshot.id]
            _storage(snapshot).remove()

        return self.operations.schedule([Step(action="delete_timeline", work=work)])

    def restore_snapshot(self, snapshot: Snapshot, wanted: Document) -> tuple[Branch, list[Operation]]:
        """Make a root branch of a snapshot; with `finalize_restore` it takes the target branch's place at once."""
        self.operations.refuse_while_busy()
        self._refuse_root_beyond_limit()
        target = self.branch(wanted.get("target_branch_id") or snapshot.source_branch_id)
        branch = Branch(
            id=_name("br"),
            project_id=self.id,
            name=wanted.get("name") or f"{target.name} from {snapshot.name}",
            created_at=_now(),
            restored_from=snapshot.id,
            restored_as=target.id,
            restore_status="restored",
        )
        self._refuse_taken(branch.name)
        self.branches[branch.id] = branch
        steps = [Step(action="create_branch", branch_id=branch.id, work=lambda: self._thaw(branch, snapshot))]
        if wanted.get("finalize_restore"):
            steps += self._finalizing(branch, target, None)
        return branch, self.operations.schedule(steps)

    def finalize_restore(self, branch: Branch, name: str | None) -> list[Operation]:
        """Let a branch that a snapshot was restored to take the place of the branch that it was restored as."""
        self.operations.refuse_while_busy()
        if branch.restore_status != "restored" or branch.restored_as is None:
            raise Refused(422, "branch is not a restored one or is finalized already")
        return self.operations.schedule(self._finalizing(branch, self.branch(branch.restored_as), name))

    def add_endpoint(self, wanted: Document) -> tuple[Endpoint, list[Operation]]:
        """Give a branch a compute."""
        self.operations.refuse_while_busy()
        branch = self.branch(wanted["branch_id"])
        if self.endpoints_of(branch):
            raise Refused(422, "branch already has a read-write endpoint")
        endpoint = self._endpoint(branch, wanted.get("type", "read_write"))
        return endpoint, self.operations.schedule([self._starting(branch, endpoint)])

    def drop_endpoint(self, endpoint: Endpoint) -> list[Operation]:
        """Take a compute away; what it served stays."""
        self.operations.refuse_while_busy()
        step = Step(action="suspend_compute", endpoint_id=endpoint.id, work=_dropping(self, endpoint))
        return self.operations.schedule([step])

    # What operations do

    def _grow(self, branch: Branch, parent: Branch, at: Moment) -> None:
        branch.storage = _storage(parent).restore(self._place(), at)
        branch.passwords = dict(parent.passwords)
        branch.storage.start()
        if parent.protected:
            branch.passwords = {role: secrets.token_urlsafe(12) for role in parent.passwords}
            _set_passwords(branch.storage, branch.passwords)
        branch.logical_size = _size(branch.storage)
        branch.storage.stop()
        branch.state = "ready"

    def _replace(self, branch: Branch, source: Branch, at: Moment, kept: str | None) -> None:
        fresh = _storage(source).restore(self._place(), at)
        old = _storage(branch)
        old.stop()
        if kept is None:
            old.remove()
        else:
            before = Branch(id=_name("br"), project_id=self.id, name=kept, created_at=_now(), state="ready")
            before.storage, before.passwords = old, dict(branch.passwords)
            self.branches[before.id] = before
            for each in self.branches.values():
                each.parent_id = before.id if each.parent_id == branch.id else each.parent_id
        branch.storage, branch.passwords, branch.state = fresh, dict(source.passwords), "ready"
        branch.parent_lsn, branch.parent_timestamp = at.lsn, at.time

    def _freeze(self, snapshot: Snapshot, branch: Branch, at: Moment) -> None:
        snapshot.storage = _storage(branch).restore(self._place(), at)
        snapshot.passwords = dict(branch.passwords)
        snapshot.storage.start()
        snapshot.full_size = _size(snapshot.storage)
        snapshot.storage.stop()

    def _thaw(self, branch: Branch, snapshot: Snapshot) -> None:
        branch.storage = _storage(snapshot).restore(self._place(), Moment())
        branch.passwords = dict(snapshot.passwords)
        branch.storage.start()
        branch.logical_size = _size(branch.storage)
        branch.storage.stop()
        branch.state = "ready"

    def _finalizing(self, branch: Branch, target: Branch, name: str | None) -> list[Step]:
        def work() -> None:
            _storage(target).stop()
            restored = target.name
            target.name, branch.name = name or f"{restored} (old)", restored
            branch.protected, target.protected = target.protected, False
            branch.default, target.default = target.default, False
            branch.restore_status = "finalized"
            for each in self.endpoints_of(target):
                each.branch_id = branch.id

        computes = self.endpoints_of(target)
        return [
            Step(action="swap_binding_id", branch_id=branch.id, work=work),
            *(self._starting(branch, each) for each in computes),
        ]

    def _starting(self, branch: Branch, endpoint: Endpoint) -> Step:
        def work() -> None:
            _storage(branch).start(port=endpoint.port)
            endpoint.state = "active"

        return Step(action="start_compute", branch_id=branch.id, endpoint_id=endpoint.id, work=work)

    def _fell(self, branch: Branch) -> None:
        del self.branches[branch.id]
        if branch.storage is not None:
            branch.storage.remove()

    def suspend(self, endpoint: Endpoint) -> None:
        """Stop the server behind a compute."""
        storage = self.branch(endpoint.branch_id).storage
        if storage is not None:
            storage.stop()
        endpoint.state = "idle"

    # Rules

    def _refuse_new_branch(self, wanted: Document, parent: Branch) -> None:
        if len(self.branches) >= self.limits.branches:
            raise Refused(422, "branches limit exceeded", code="BRANCHES_LIMIT_EXCEEDED")
        if parent.expires_at is not None:
            raise Refused(422, "cannot create a branch from an expiring branch")
        if "name" in wanted:
            self._refuse_taken(wanted["name"])
        if wanted.get("expires_at") and wanted.get("protected"):
            raise Refused(422, "a protected branch cannot expire")

    def _refuse_taken(self, name: str) -> None:
        if any(each.name == name for each in self.branches.values()):
            raise Refused(409, "branch with the provided name already exists", code="BRANCH_ALREADY_EXISTS")

    def _refuse_root_beyond_limit(self) -> None:
        if sum(each.is_root for each in self.branches.values()) >= self.limits.root_branches:
            raise Refused(422, "root branches limit exceeded", code="ROOT_BRANCHES_LIMIT_EXCEEDED")

    def _refuse_expiry(self, branch: Branch) -> None:
        parent = any(each.parent_id == branch.id for each in self.branches.values())
        if branch.default or branch.protected or parent:
            raise Refused(422, "a default, protected or parent branch cannot expire")

    def _moment(self, branch: Branch, time: str | None, lsn: str | None) -> Moment:
        """Return the moment asked for; raises 400 for one outside of the branch's history."""
        if time and lsn:
            raise Refused(400, "only one of timestamp and LSN can be specified")
        if time is None:
            return Moment(lsn=lsn)
        asked = _time(time)
        oldest = max(branch.created_at, _now() - timedelta(seconds=self.history_seconds))
        if not oldest <= asked <= _now():
            raise Refused(400, "timestamp is outside of the history retention window")
        return Moment(time=asked)

    # Making things

    def _default(self) -> Branch:
        return next(each for each in self.branches.values() if each.default)

    def _endpoint(self, branch: Branch, kind: str = "read_write") -> Endpoint:
        port = find_port(None, HOST, lambda _: True)
        endpoint = Endpoint(
            id=_name("ep"), project_id=self.id, branch_id=branch.id, port=port, created_at=_now(), type=kind
        )
        self.endpoints[endpoint.id] = endpoint
        return endpoint

    def _place(self) -> Path:
        return self._directory / _name("server")


def _dropping(project: Project, endpoint: Endpoint) -> Callable[[], None]:
    def work() -> None:
        project.suspend(endpoint)
        del project.endpoints[endpoint.id]

    return work


def _storage(thing: Branch | Snapshot) -> RecordedServer:
    if thing.storage is None:
        raise RuntimeError(f"{thing.id} is not ready yet")
    return thing.storage


def _found(storage: RecordedServer, password: str) -> None:
    """Make the roles and the database that Neon gives to each project."""
    with psycopg.connect(storage.server.url(), autocommit=True) as session:
        session.execute("CREATE ROLE neon_superuser NOLOGIN CREATEDB CREATEROLE BYPASSRLS")
        session.execute("GRANT pg_read_all_data, pg_write_all_data TO neon_superuser")
        session.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD {} IN ROLE neon_superuser").format(
                sql.Identifier(OWNER), sql.Literal(password)
            )
        )
        session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))


def _set_passwords(storage: RecordedServer, passwords: dict[str, str]) -> None:
    with psycopg.connect(storage.server.url(), autocommit=True) as session:
        for role, password in passwords.items():
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            session.execute(statement)


def _size(storage: RecordedServer) -> int:
    with psycopg.connect(storage.server.url(), autocommit=True) as session:
        found = session.execute("SELECT sum(pg_catalog.pg_database_size(oid))::bigint FROM pg_catalog.pg_database")
        row = found.fetchone()
        return int(row[0]) if row else 0


def _get(things: dict[str, Thing], identifier: str, what: str) -> Thing:
    if identifier not in things:
        raise missing(what)
    return things[identifier]


def _expiry(text: str | None, *, longest: timedelta | None = LONGEST_EXPIRY) -> datetime | None:
    if text is None:
        return None
    expires = _time(text)
    if expires <= _now() or (longest is not None and expires > _now() + longest):
        raise Refused(400, "expires_at must be in the future, at most 30 days away")
    return expires


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, "a timestamp must be written as RFC 3339") from None
    if found.tzinfo is None:
        raise Refused(400, "a timestamp must have a time zone")
    return found.astimezone(UTC)


def _name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


def _now() -> datetime:
    return datetime.now(UTC)
