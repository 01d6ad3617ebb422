"""Make, change, restore and delete branches, and give them computes."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from psycopg import sql

from holdfast_local.history import Moment, RecordedServer
from holdfast_local.neon.errors import Refused
from holdfast_local.neon.operations import Step
from holdfast_local.neon.project import Project, expiry, new_id, now, size_of, storage_of
from holdfast_local.neon.things import Branch, Document, Endpoint, Operation


class Branching:
    """What the API does with the branches and computes of a project; methods raise `Refused` as Neon does."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def create(self, wanted: Document, computes: list[Document]) -> tuple[Branch, list[Operation]]:
        """Make a branch of another's head, or of a moment of its history."""
        self._project.operations.refuse_while_busy()
        parent = self._project.branch(wanted["parent_id"]) if "parent_id" in wanted else self._project.default()
        self._refuse_new_branch(wanted, parent)
        at = self._project.moment_of(parent, wanted.get("parent_timestamp"), wanted.get("parent_lsn"))
        branch = Branch(
            id=new_id("br"),
            project_id=self._project.id,
            name=wanted.get("name") or new_id("br"),
            created_at=now(),
            parent_id=parent.id,
            parent_lsn=at.lsn,
            parent_timestamp=at.time or now(),
            protected=bool(wanted.get("protected")),
            expires_at=expiry(wanted.get("expires_at")),
        )
        self._project.branches[branch.id] = branch
        steps = [
            Step(action="create_branch", branch_id=branch.id, work=lambda: self._grow(branch, parent, at)),
        ]
        for each in computes:
            endpoint = self._project.new_endpoint(branch, each.get("type", "read_write"))
            steps.append(self._project.starting(branch, endpoint))
        return branch, self._project.operations.schedule(steps)

    def change(self, branch: Branch, wanted: Document) -> list[Operation]:
        """Rename, protect or set the expiry of a branch."""
        self._project.operations.refuse_while_busy()
        if wanted.get("name") not in {None, branch.name}:
            self._project.refuse_taken(wanted["name"])
            branch.name = wanted["name"]
        if "expires_at" in wanted:
            self._refuse_expiry(branch)
            branch.expires_at = expiry(wanted["expires_at"])
        branch.protected = bool(wanted.get("protected", branch.protected))
        return self._project.operations.schedule([Step(action="timeline_update_protected_config", branch_id=branch.id)])

    def delete(self, branch: Branch) -> list[Operation]:
        """Delete a branch with its computes."""
        self._project.operations.refuse_while_busy()
        if branch.protected:
            raise Refused(422, "cannot delete protected branch")
        if branch.default:
            raise Refused(422, "cannot delete the default branch")
        if any(each.parent_id == branch.id for each in self._project.branches.values()):
            raise Refused(422, "cannot delete branch that has children")
        steps = [
            Step(
                action="suspend_compute", branch_id=branch.id, endpoint_id=each.id, work=_dropping(self._project, each)
            )
            for each in self._project.endpoints_of(branch)
        ]
        steps.append(Step(action="delete_timeline", branch_id=branch.id, work=lambda: self._fell(branch)))
        return self._project.operations.schedule(steps)

    def restore(self, branch: Branch, wanted: Document) -> list[Operation]:
        """Put another branch's head, or a moment of a branch's history, in place of *branch*; its address stays."""
        self._project.operations.refuse_while_busy()
        source = self._project.branch(wanted["source_branch_id"])
        kept = wanted.get("preserve_under_name")
        time, lsn = wanted.get("source_timestamp"), wanted.get("source_lsn")
        if branch.protected:
            raise Refused(422, "cannot reset protected branch")
        if source is branch and not (time or lsn):
            raise Refused(400, "source_timestamp or source_lsn is required to restore a branch to its own past")
        children = any(each.parent_id == branch.id for each in self._project.branches.values())
        if kept is None and (source is branch or children):
            raise Refused(400, "preserve_under_name is required")
        if not branch.is_root:
            raise Refused(422, "only root branches can be restored")
        if kept is not None:
            self._project.refuse_taken(kept)
            self._project.refuse_root_beyond_limit()
        at = self._project.moment_of(source, time, lsn)
        branch.state = "resetting"
        computes = self._project.endpoints_of(branch)
        steps = [Step(action="suspend_compute", branch_id=branch.id, endpoint_id=each.id) for each in computes]
        steps.append(
            Step(action="create_timeline", branch_id=branch.id, work=lambda: self._replace(branch, source, at, kept))
        )
        steps += [self._project.starting(branch, each) for each in computes]
        return self._project.operations.schedule(steps)

    def add_endpoint(self, wanted: Document) -> tuple[Endpoint, list[Operation]]:
        """Give a branch a compute."""
        self._project.operations.refuse_while_busy()
        branch = self._project.branch(wanted["branch_id"])
        if self._project.endpoints_of(branch):
            raise Refused(422, "branch already has a read-write endpoint")
        endpoint = self._project.new_endpoint(branch, wanted.get("type", "read_write"))
        return endpoint, self._project.operations.schedule([self._project.starting(branch, endpoint)])

    def drop_endpoint(self, endpoint: Endpoint) -> list[Operation]:
        """Take a compute away; what it served stays."""
        self._project.operations.refuse_while_busy()
        step = Step(action="suspend_compute", endpoint_id=endpoint.id, work=_dropping(self._project, endpoint))
        return self._project.operations.schedule([step])

    def _grow(self, branch: Branch, parent: Branch, at: Moment) -> None:
        branch.storage = storage_of(parent).restore(self._project.place(), at)
        branch.passwords = dict(parent.passwords)
        branch.storage.start()
        if parent.protected:
            branch.passwords = {role: secrets.token_urlsafe(12) for role in parent.passwords}
            _set_passwords(branch.storage, branch.passwords)
        branch.logical_size = size_of(branch.storage)
        branch.storage.stop()
        branch.state = "ready"

    def _replace(self, branch: Branch, source: Branch, at: Moment, kept: str | None) -> None:
        fresh = storage_of(source).restore(self._project.place(), at)
        old = storage_of(branch)
        old.stop()
        if kept is None:
            old.remove()
        else:
            before = Branch(id=new_id("br"), project_id=self._project.id, name=kept, created_at=now(), state="ready")
            before.storage, before.passwords = old, dict(branch.passwords)
            self._project.branches[before.id] = before
            for each in self._project.branches.values():
                each.parent_id = before.id if each.parent_id == branch.id else each.parent_id
        branch.storage, branch.passwords, branch.state = fresh, dict(source.passwords), "ready"
        branch.parent_lsn, branch.parent_timestamp = at.lsn, at.time

    def _fell(self, branch: Branch) -> None:
        del self._project.branches[branch.id]
        if branch.storage is not None:
            branch.storage.remove()

    def _refuse_new_branch(self, wanted: Document, parent: Branch) -> None:
        if len(self._project.branches) >= self._project.limits.branches:
            raise Refused(422, "branches limit exceeded", code="BRANCHES_LIMIT_EXCEEDED")
        if parent.expires_at is not None:
            raise Refused(422, "cannot create a branch from an expiring branch")
        if "name" in wanted:
            self._project.refuse_taken(wanted["name"])
        if wanted.get("expires_at") and wanted.get("protected"):
            raise Refused(422, "a protected branch cannot expire")

    def _refuse_expiry(self, branch: Branch) -> None:
        parent = any(each.parent_id == branch.id for each in self._project.branches.values())
        if branch.default or branch.protected or parent:
            raise Refused(422, "a default, protected or parent branch cannot expire")


def _dropping(project: Project, endpoint: Endpoint) -> Callable[[], None]:
    def work() -> None:
        project.suspend(endpoint)
        del project.endpoints[endpoint.id]

    return work


def _set_passwords(storage: RecordedServer, passwords: dict[str, str]) -> None:
    with storage.session() as session:
        for role, password in passwords.items():
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            session.execute(statement)
