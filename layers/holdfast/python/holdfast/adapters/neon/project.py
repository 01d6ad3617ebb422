"""
One Neon project with the branch that is protected: what is there, and the one way to change it.

Changes of a project are made in turns: Neon itself takes one at a time and answers 423 to others, but a sequence of
changes, such as taking a protection off, restoring and protecting again, must not meet another one half-way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from holdfast.adapters.json_api import Document
from holdfast.adapters.neon.http import NeonHttp
from holdfast.adapters.neon.things import Branch, Endpoint, Operation, ProjectFacts, Snapshot
from holdfast.errors import ProviderMissing, UnexpectedState
from holdfast.ports.providers import Progress

Thing = TypeVar("Thing", bound=BaseModel)
Turn = Callable[[], AbstractContextManager[None]]
"""Begin a turn of this project's; raises `ProviderBusy` while it is another's."""

_UNDER_WAY = {"scheduling", "running", "cancelling"}
_LOST = {"error", "cancelled"}
_PATIENCE = timedelta(minutes=5)
"""Neon tries a `failed` operation again by itself; after so long without news it is taken for lost."""
_RECENT = 100


class NeonProject:
    """The project *project_id* and its branch *branch*, an id or a name; the default branch when that is empty."""

    def __init__(
        self, http: NeonHttp, project_id: str, branch: str, *, now: Callable[[], datetime], turn: Turn
    ) -> None:
        self._http, self._path, self._wanted, self.now, self.turn = http, f"/projects/{project_id}", branch, now, turn
        self.id = project_id

    def facts(self) -> ProjectFacts:
        """Return the project's own settings."""
        return read(ProjectFacts, self.get("", "project"))

    def source(self) -> Branch:
        """Return the protected branch; raises `ProviderMissing`."""
        wanted = self._wanted
        found = [each for each in self.branches() if wanted in {each.id, each.name} or (not wanted and each.default)]
        if not found:
            named = f"no branch {wanted}" if wanted else "no default branch"
            raise ProviderMissing(f"The Neon project {self.id} has {named}.")
        return next((each for each in found if each.id == wanted), found[0])

    def branch(self, branch_id: str) -> Branch:
        """Return a branch; raises `ProviderMissing`."""
        return read(Branch, self.get(f"/branches/{branch_id}", "branch"))

    def branches(self) -> list[Branch]:
        """Return all branches."""
        return [read(Branch, each) for each in self._http.pages(f"{self._path}/branches", "branches")]

    def named(self, name: str) -> Branch | None:
        """Return the branch of that name."""
        return next((each for each in self.branches() if each.name == name), None)

    def snapshots(self) -> list[Snapshot]:
        """Return the snapshots of all branches."""
        return [read(Snapshot, each) for each in self.items("/snapshots", "snapshots")]

    def computes(self, branch_id: str) -> list[Endpoint]:
        """Return the computes of a branch."""
        return [read(Endpoint, each) for each in self.items(f"/branches/{branch_id}/endpoints", "endpoints")]

    def operations(self) -> list[Operation]:
        """Return the project's last operations, the newest first."""
        return [read(Operation, each) for each in self.items("/operations", "operations", limit=_RECENT)]

    def progress(self, branch_id: str, operations: list[Operation]) -> Progress:
        """Return how far Neon is with what was asked for a branch, by its operations, the newest of them first."""
        of_branch = [each for each in operations if each.branch_id == branch_id]
        if any(self._goes_on(each) for each in of_branch):
            return Progress.CREATING
        lost = of_branch and of_branch[0].status in {*_LOST, "failed"}
        return Progress.FAILED if lost else Progress.AVAILABLE

    def get(self, path: str, part: str, **parameters: str | int) -> Document:
        """Return the object *part* of what lies at *path* below the project."""
        found = self._http.get(self._path + path, **parameters).get(part)
        if not isinstance(found, dict):
            raise UnexpectedState(f"Neon answered {self._path}{path} without {part}.")
        return found

    def change(
        self, method: str, path: str, body: Document | None = None, parameters: dict[str, str | int] | None = None
    ) -> Document:
        """Make a change below the project; in a turn of the caller's."""
        return self._http.change(method, self._path + path, body, parameters)

    def address(self, **asked: str) -> str:
        """Return a connection string, which holds a password."""
        uri = self._http.get(f"{self._path}/connection_uri", **asked).get("uri")
        return uri if isinstance(uri, str) else ""

    def items(self, path: str, name: str, **parameters: str | int) -> list[Document]:
        """Return the objects called *name* that lie at *path* below the project."""
        found = self._http.get(self._path + path, **parameters).get(name)
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise UnexpectedState(f"Neon answered {self._path}{path} without {name}.")
        return found

    def _goes_on(self, operation: Operation) -> bool:
        if operation.status in _UNDER_WAY:
            return True
        return operation.status == "failed" and self.now() - operation.updated_at < _PATIENCE


def read(kind: type[Thing], document: Document) -> Thing:
    """Return a thing that Neon described; raises `UnexpectedState`, without its values, for what it is not."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors()[:3])
        raise UnexpectedState(f"Neon described a {kind.__name__.lower()} in an unknown way: {wrong}.") from None
