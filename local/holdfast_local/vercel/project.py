"""One Vercel project: its variables, and its deployments, which are built in time."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
ACCOUNT = "team_local"


class Answered(Exception):
    """A refusal, with Vercel's *status* and *code*."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.more = status, code, more

    def document(self) -> Document:
        """Return the body that Vercel answers with."""
        return {"error": {"code": self.code, "message": str(self), **self.more}}


@dataclass
class Build:
    """One deployment; *built_with* are production's variables when it was asked for, *ending* how it is to end."""

    id: str
    name: str
    meta: dict[str, str]
    built_with: dict[str, str]
    began: float
    ending: str = "READY"
    substate: str = "PROMOTED"
    alias_error: Document | None = None


@dataclass
class Project:
    """The project *name*; a build is queued, then built, each for *seconds*. `ending` is how the next one ends."""

    name: str = "shop"
    seconds: float = 0.05
    variables: dict[str, Document] = field(default_factory=dict)
    builds: list[Build] = field(default_factory=list)
    ending: str = "READY"
    substate: str = "PROMOTED"
    alias_error: Document | None = None

    def add(self, key: str, value: str, **more: Any) -> Document:
        """Add a variable as a person or an integration does."""
        now = int(time.time() * 1000)
        document: Document = {
            "id": secrets.token_hex(8),
            "key": key,
            "value": value,
            "type": "encrypted",
            "target": ["production"],
            "createdAt": now,
            "updatedAt": now,
            **more,
        }
        self.variables[document["id"]] = document
        return document

    def upsert(self, wanted: Document) -> Document:
        """Make a variable, or change the one with the same name and environments; raises for a conflict."""
        same = [each for each in self.variables.values() if each["key"] == wanted["key"]]
        for each in same:
            if set(each["target"]) == set(wanted["target"]):
                each |= {"value": wanted["value"], "type": wanted["type"]}
                return each
            if set(each["target"]) & set(wanted["target"]):
                raise Answered(400, "ENV_CONFLICT", f"Another variable {wanted['key']} has other targets.")
        return self.add(wanted["key"], wanted["value"], type=wanted["type"], target=wanted["target"])

    def build(self, meta: dict[str, str]) -> Build:
        """Begin a deployment with the variables that production has now."""
        used = {each["key"]: each["value"] for each in self.variables.values() if "production" in each["target"]}
        build = Build(
            id=f"dpl_{secrets.token_hex(12)}",
            name=self.name,
            meta=meta,
            built_with=used,
            began=time.monotonic(),
            ending=self.ending,
            substate=self.substate,
            alias_error=self.alias_error,
        )
        self.builds.insert(0, build)
        return build

    def state(self, build: Build) -> str:
        """Return how far a build is."""
        passed = (time.monotonic() - build.began) / self.seconds
        return "QUEUED" if passed < 1 else "BUILDING" if passed < 2 else build.ending
