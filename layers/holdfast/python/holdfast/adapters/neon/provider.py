"""
One branch of a Neon project, as a `Provider`.

Copies are branches with a compute of their own, named after what they are for with a prefix that is ours; only
branches that bear it are ever deleted. A snapshot has no state of its own at Neon: while an operation on its
source runs, it counts as being made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from holdfast.adapters.json_api import Document
from holdfast.adapters.neon import in_place
from holdfast.adapters.neon.http import BASE, NeonHttp
from holdfast.adapters.neon.plans import most_manual_snapshots
from holdfast.adapters.neon.project import NeonProject
from holdfast.adapters.neon.settings import apply_settings, describe, settings_of
from holdfast.adapters.neon.things import Branch, Operation
from holdfast.errors import ProviderMissing, ProviderRefused, UnexpectedState
from holdfast.model.provider_settings import Setting
from holdfast.ports.providers import Capabilities, Copy, Login, Progress, ProviderSnapshot, Quota, Window

PREFIX, LASTING_PREFIX = "holdfast-", "restored-"
LONGEST_EXPIRY = timedelta(days=30)
POSTGRES_PORT = 5432


class Neon:
    """
    The branch *branch* (an id or a name; the default branch without one) of *project_id*, its *database* and *role*.

    *key* should be one of this project only; Neon has none that may merely read. *turn* begins a turn of changing the
    project and raises `ProviderBusy` while it is another's; without it, callers see to it that there is one of them.
    """

    def __init__(
        self,
        *,
        key: str,
        project_id: str,
        database: str,
        role: str,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        branch: str = "",
        base: str = BASE,
        patience: float = 60.0,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        http = NeonHttp(key, sleep=sleep, now=now, base=base, patience=patience)
        self._project = NeonProject(http, project_id, branch, now=now, turn=turn)
        self._database, self._role, self._now = database, role, now
        self.capabilities = Capabilities(in_place=True)

    def source(self) -> str:
        """Return the protected branch's id."""
        return self._project.source().id

    def window(self) -> Window | None:
        """Return the reach of the branch's history: what the project keeps, but nothing before the branch began."""
        facts = self._project.facts()
        if not facts.history_retention_seconds:
            return None
        now = self._now()
        kept = now - timedelta(seconds=facts.history_retention_seconds)
        return Window(max(kept, self._project.source().created_at), now)

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the branch's snapshots; Neon encrypts all of them at rest."""
        source = self.source()
        ours = [each for each in self._project.snapshots() if each.source_branch_id == source]
        progress = self._project.progress(source, self._project.operations()) if ours else Progress.AVAILABLE
        newest = max(ours, key=lambda each: each.created_at, default=None)
        return tuple(
            ProviderSnapshot(
                id=each.id,
                name=each.name,
                progress=progress if each is newest else Progress.AVAILABLE,
                source=source,
                created_at=each.created_at,
                taken_at=each.timestamp,
                expires_at=each.expires_at,
                encrypted=True,
                manual=each.manual,
                size=each.full_size,
            )
            for each in ours
        )

    def create_snapshot(self, name: str, *, keep_until: datetime | None = None) -> ProviderSnapshot:
        """Ask for a snapshot of the branch's head, unless one of that name is there."""
        with self._project.turn():
            there = [each for each in self.snapshots() if each.name == name]
            if not there:
                # Parameters, not a body: so the specification and Neon's own client.
                wanted: dict[str, str | int] = {"name": name}
                wanted |= {"expires_at": _second(keep_until)} if keep_until else {}
                self._project.change("POST", f"/branches/{self.source()}/snapshot", parameters=wanted)
                there = [each for each in self.snapshots() if each.name == name]
        if not there:
            raise UnexpectedState(f"Neon took the snapshot {name} but does not list it.")
        return there[0]

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot for good."""
        try:
            with self._project.turn():
                self._project.change("DELETE", f"/snapshots/{snapshot_id}")
        except ProviderMissing:
            return False
        return True

    def quota(self) -> Quota:
        """Return how many manual snapshots the project has and may have; scheduled ones do not count."""
        manual = sum(each.manual for each in self._project.snapshots())
        return Quota(what="manual snapshots", used=manual, limit=most_manual_snapshots(self._project.facts()))

    def copy_snapshot(self, snapshot_id: str) -> ProviderSnapshot:
        """Refuse: Neon's snapshots stay in their project."""
        raise _stays(snapshot_id)

    def second_region_snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return none: Neon's snapshots stay in their project."""
        return ()

    def delete_second_region_snapshot(self, snapshot_id: str) -> bool:  # noqa: ARG002  # there can be none
        """Return that there is none."""
        return False

    def share_snapshot(self, snapshot_id: str, accounts: Sequence[str]) -> None:  # noqa: ARG002
        """Refuse: Neon's snapshots stay in their project."""
        raise _stays(snapshot_id)

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,
        lasting: bool = False,
    ) -> Copy:
        """
        Ask for a branch with a compute, of now or of *at*, or for one that a snapshot is restored to.

        Neon removes a branch by itself at *expires_at*, at most 30 days away: the way out for copies that
        nobody comes back for.
        """
        named = f"{LASTING_PREFIX if lasting else PREFIX}{name}"
        with self._project.turn():
            if (there := self._project.named(named)) is None:
                if snapshot_id is None:
                    self._grow(named, at, None if lasting else expires_at, lasting=lasting)
                else:
                    self._thaw(named, snapshot_id)
                there = self._project.named(named)
        if there is None:
            raise UnexpectedState(f"Neon took the branch {named} but does not list it.")
        return self._copy(there, self._project.operations())

    def copies(self) -> tuple[Copy, ...]:
        """Return the project's branches that bear our prefix."""
        ours = [each for each in self._project.branches() if each.name.startswith(PREFIX)]
        operations = self._project.operations() if ours else []
        return tuple(self._copy(each, operations) for each in ours)

    def login(self, copy_id: str) -> Login:
        """Return the direct address, with a password of its own: children of a protected branch have others."""
        uri = self._project.address(
            database_name=self._database, role_name=self._role, branch_id=copy_id, pooled="false"
        )
        found = urlsplit(uri)
        if not found.hostname or not found.password:
            raise UnexpectedState(f"Neon gave no connection string for the branch {copy_id}.")
        user, password = unquote(found.username or ""), unquote(found.password)
        return Login(host=found.hostname, port=found.port or POSTGRES_PORT, user=user, password=password)

    def delete_copy(self, copy_id: str) -> bool:
        """Delete a branch that bears our prefix, with its compute."""
        with self._project.turn():
            try:
                branch = self._project.branch(copy_id)
            except ProviderMissing:
                return False
            if not branch.name.startswith(PREFIX) or branch.default or branch.protected:
                raise ProviderRefused(
                    f"The branch {branch.name} is not a copy of Holdfast's.",
                    hint="Delete it in Neon's console if it is no longer needed.",
                )
            self._project.change("DELETE", f"/branches/{copy_id}")
        return True

    def restore_in_place(self, at: datetime, *, keep_as: str, protect: bool) -> Progress:
        """Put the branch itself back to *at*; the host's name, and so the application's secret, stays."""
        return in_place.restore_in_place(self._project, at, keep_as=keep_as, protect=protect)

    def settings(self) -> tuple[Setting, ...]:
        """Return the settings of the project and the branch that recovery depends on."""
        return settings_of(self._project)

    def apply(self, changes: Sequence[Setting]) -> None:
        """Set the history's length, the branch's protection and its daily snapshot."""
        apply_settings(self._project, changes)

    def description(self) -> Mapping[str, Any]:
        """Return the project, its branches, computes, roles and databases, without passwords and addresses."""
        return describe(self._project)

    def _grow(self, name: str, at: datetime | None, expires_at: datetime | None, *, lasting: bool) -> None:
        source = self._project.source()
        branch: Document = {"name": name, "parent_id": source.id}
        if lasting and source.protected:
            branch["protected"] = True
        if at is not None:
            branch["parent_timestamp"] = at.isoformat()
        if expires_at is not None:
            branch["expires_at"] = _second(min(expires_at, self._now() + LONGEST_EXPIRY - timedelta(minutes=5)))
        self._project.change("POST", "/branches", {"branch": branch, "endpoints": [{"type": "read_write"}]})

    def _thaw(self, name: str, snapshot_id: str) -> None:
        """Restore a snapshot beside the source; such a branch gets its compute by a call of its own."""
        # Without the target named, a second restore would aim at the branch that the first one put aside.
        body = {"name": name, "target_branch_id": self.source(), "finalize_restore": False}
        self._project.change("POST", f"/snapshots/{snapshot_id}/restore", body)

    def _copy(self, branch: Branch, operations: list[Operation]) -> Copy:
        return Copy(
            id=branch.id,
            name=branch.name.removeprefix(PREFIX).removeprefix(LASTING_PREFIX),
            progress=self._progress(branch, operations),
            created_at=branch.created_at,
            moment=branch.parent_timestamp,
            expires_at=branch.expires_at,
        )

    def _progress(self, branch: Branch, operations: list[Operation]) -> Progress:
        """Return how far a copy is: it is available with its compute, which a restored one is given here."""
        by_operations = self._project.progress(branch.id, operations)
        if by_operations is not Progress.AVAILABLE:
            return by_operations
        if branch.current_state != "ready":
            return Progress.CREATING
        if any(each.type == "read_write" for each in self._project.computes(branch.id)):
            return Progress.AVAILABLE
        with self._project.turn():
            self._project.change("POST", "/endpoints", {"endpoint": {"branch_id": branch.id, "type": "read_write"}})
        return Progress.CREATING


def _second(moment: datetime) -> str:
    """Return a moment as Neon takes it for an expiry: to the second."""
    return moment.replace(microsecond=0).isoformat()


def _stays(snapshot_id: str) -> ProviderRefused:
    return ProviderRefused(
        f"The Neon snapshot {snapshot_id} cannot leave its project.",
        hint="Archives are what a copy outside of Neon is made of.",
    )
