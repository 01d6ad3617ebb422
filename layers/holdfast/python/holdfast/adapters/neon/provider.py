"""
One branch of a Neon project, as a `Provider`.

Copies are branches with a compute of their own, named after what they are for with a prefix that is ours; only
branches that bear it are ever deleted. A snapshot has no state of its own at Neon: while an operation on its
source runs, it counts as being made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ValidationError

from holdfast.adapters.neon.http import BASE, Document, NeonHttp
from holdfast.adapters.neon.things import Branch, Endpoint, Operation, ProjectFacts, Snapshot
from holdfast.errors import ProviderMissing, ProviderRefused, UnexpectedState
from holdfast.ports.providers import Copy, Login, Progress, ProviderSnapshot, Window

Thing = TypeVar("Thing", bound=BaseModel)

PREFIX = "holdfast-"
LONGEST_EXPIRY = timedelta(days=30)
_UNDER_WAY = {"scheduling", "running", "cancelling"}
_LOST = {"failed", "error", "cancelled"}
_RECENT = 100
POSTGRES_PORT = 5432


class Neon:
    """
    The branch *branch_id* of *project_id* (the default branch without one), its *database* and *role*.

    *key* should be one of this project only; Neon has none that may merely read.
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
        branch_id: str | None = None,
        base: str = BASE,
        patience: float = 60.0,
    ) -> None:
        self._http = NeonHttp(key, sleep=sleep, now=now, base=base, patience=patience)
        self._project = f"/projects/{project_id}"
        self._database, self._role, self._now, self._branch_id = database, role, now, branch_id

    def source(self) -> str:
        """Return the protected branch's id."""
        return self._source().id

    def window(self) -> Window | None:
        """Return the reach of the branch's history: what the project keeps, but nothing before the branch began."""
        facts = _read(ProjectFacts, self._http.get(self._project)["project"])
        if not facts.history_retention_seconds:
            return None
        now = self._now()
        kept = now - timedelta(seconds=facts.history_retention_seconds)
        return Window(max(kept, self._source().created_at), now)

    def snapshots(self) -> tuple[ProviderSnapshot, ...]:
        """Return the branch's snapshots; Neon encrypts all of them at rest."""
        source = self.source()
        found = [_read(Snapshot, each) for each in self._http.get(f"{self._project}/snapshots")["snapshots"]]
        ours = [each for each in found if each.source_branch_id == source]
        progress = self._progress_of_newest(source) if ours else Progress.AVAILABLE
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
        there = [each for each in self.snapshots() if each.name == name]
        if not there:
            # Parameters, not a body: so the specification and Neon's own client.
            wanted = {"name": name} | ({"expires_at": keep_until.isoformat()} if keep_until else {})
            self._http.change("POST", f"{self._project}/branches/{self.source()}/snapshot", parameters=wanted)
            there = [each for each in self.snapshots() if each.name == name]
        if not there:
            raise UnexpectedState(f"Neon took the snapshot {name} but does not list it.")
        return there[0]

    def delete_snapshot(self, snapshot_id: str) -> bool:
        """Delete a snapshot for good."""
        try:
            self._http.change("DELETE", f"{self._project}/snapshots/{snapshot_id}")
        except ProviderMissing:
            return False
        return True

    def create_copy(
        self,
        name: str,
        *,
        at: datetime | None = None,
        snapshot_id: str | None = None,
        expires_at: datetime | None = None,
    ) -> Copy:
        """
        Ask for a branch with a compute, of now or of *at*, or for one that a snapshot is restored to.

        Neon removes a branch by itself at *expires_at*, at most 30 days away: the way out for copies that
        nobody comes back for.
        """
        named = f"{PREFIX}{name}"
        if (there := self._named(named)) is None:
            if snapshot_id is None:
                self._grow(named, at, expires_at)
            else:
                self._thaw(named, snapshot_id)
            there = self._named(named)
        if there is None:
            raise UnexpectedState(f"Neon took the branch {named} but does not list it.")
        return self._copy(there, self._operations())

    def copies(self) -> tuple[Copy, ...]:
        """Return the project's branches that bear our prefix."""
        ours = [each for each in self._branches() if each.name.startswith(PREFIX)]
        operations = self._operations() if ours else []
        return tuple(self._copy(each, operations) for each in ours)

    def login(self, copy_id: str) -> Login:
        """Return the direct address, with a password of its own: children of a protected branch have others."""
        asked = {"database_name": self._database, "role_name": self._role, "branch_id": copy_id, "pooled": "false"}
        uri = self._http.get(f"{self._project}/connection_uri", **asked).get("uri")
        found = urlsplit(uri) if isinstance(uri, str) else None
        if found is None or not found.hostname or not found.password:
            raise UnexpectedState(f"Neon gave no connection string for the branch {copy_id}.")
        user, password = unquote(found.username or ""), unquote(found.password)
        return Login(host=found.hostname, port=found.port or POSTGRES_PORT, user=user, password=password)

    def delete_copy(self, copy_id: str) -> bool:
        """Delete a branch that bears our prefix, with its compute."""
        try:
            branch = self._branch(copy_id)
        except ProviderMissing:
            return False
        if not branch.name.startswith(PREFIX) or branch.default or branch.protected:
            raise ProviderRefused(
                f"The branch {branch.name} is not a copy of Holdfast's.",
                hint="Delete it in Neon's console if it is no longer needed.",
            )
        self._http.change("DELETE", f"{self._project}/branches/{copy_id}")
        return True

    def _grow(self, name: str, at: datetime | None, expires_at: datetime | None) -> None:
        branch: Document = {"name": name, "parent_id": self.source()}
        if at is not None:
            branch["parent_timestamp"] = at.isoformat()
        if expires_at is not None:
            branch["expires_at"] = min(expires_at, self._now() + LONGEST_EXPIRY - timedelta(minutes=5)).isoformat()
        body = {"branch": branch, "endpoints": [{"type": "read_write"}]}
        self._http.change("POST", f"{self._project}/branches", body)

    def _thaw(self, name: str, snapshot_id: str) -> None:
        """Restore a snapshot beside the source; such a branch gets its compute by a call of its own."""
        # Without the target named, a second restore would aim at the branch that the first one put aside.
        body = {"name": name, "target_branch_id": self.source(), "finalize_restore": False}
        self._http.change("POST", f"{self._project}/snapshots/{snapshot_id}/restore", body)

    def _source(self) -> Branch:
        if self._branch_id is not None:
            return self._branch(self._branch_id)
        found = next((each for each in self._branches() if each.default), None)
        if found is None:
            raise ProviderMissing("The Neon project has no default branch.")
        return found

    def _branch(self, branch_id: str) -> Branch:
        return _read(Branch, self._http.get(f"{self._project}/branches/{branch_id}")["branch"])

    def _branches(self) -> list[Branch]:
        return [_read(Branch, each) for each in self._http.pages(f"{self._project}/branches", "branches")]

    def _named(self, name: str) -> Branch | None:
        return next((each for each in self._branches() if each.name == name), None)

    def _copy(self, branch: Branch, operations: Sequence[Operation]) -> Copy:
        return Copy(
            id=branch.id,
            name=branch.name.removeprefix(PREFIX),
            progress=self._progress(branch, operations),
            created_at=branch.created_at,
            moment=branch.parent_timestamp,
            expires_at=branch.expires_at,
        )

    def _progress(self, branch: Branch, operations: Sequence[Operation]) -> Progress:
        """Return how far a copy is: it is available with its compute, which a restored one is given here."""
        of_branch = [each for each in operations if each.branch_id == branch.id]
        if any(each.status in _UNDER_WAY for each in of_branch):
            return Progress.CREATING
        if of_branch and of_branch[0].status in _LOST:
            return Progress.FAILED
        if branch.current_state != "ready":
            return Progress.CREATING
        computes = self._http.get(f"{self._project}/branches/{branch.id}/endpoints")["endpoints"]
        if any(_read(Endpoint, each).type == "read_write" for each in computes):
            return Progress.AVAILABLE
        self._http.change(
            "POST", f"{self._project}/endpoints", {"endpoint": {"branch_id": branch.id, "type": "read_write"}}
        )
        return Progress.CREATING

    def _progress_of_newest(self, source: str) -> Progress:
        of_source = [each for each in self._operations() if each.branch_id == source]
        if any(each.status in _UNDER_WAY for each in of_source):
            return Progress.CREATING
        return Progress.FAILED if of_source and of_source[0].status in _LOST else Progress.AVAILABLE

    def _operations(self) -> list[Operation]:
        """Return the project's last operations, the newest first."""
        found = self._http.get(f"{self._project}/operations", limit=_RECENT)["operations"]
        return [_read(Operation, each) for each in found]


def _read(kind: type[Thing], document: Document) -> Thing:
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors()[:3])
        raise UnexpectedState(f"Neon described a {kind.__name__.lower()} in an unknown way: {wrong}.") from error
