"""
One project at Vercel, as an `Application`.

A variable is changed by its id where one is there for production alone, and made by an upsert otherwise: an upsert
whose environments differ from an existing one's is a conflict. One that several environments share is not touched
behind the others' back. Promoting or rolling back builds nothing anew and keeps the old values, so a cutover deploys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from holdfast.adapters.json_api import Complaint, Document, JsonApi, Parameters, Vendor
from holdfast.adapters.vercel.things import Deployed, EnvironmentVariable, Failed, Listed, read
from holdfast.errors import HoldfastError, ProviderBusy, ProviderMissing, ProviderRefused, UnexpectedState
from holdfast.ports.applications import Deployment, Variable
from holdfast.ports.providers import Progress

BASE = "https://api.vercel.com"
_PRODUCTION = "production"
_MARK = "holdfastRestore"
"""The name in a deployment's own data that holds ours: so that a repeated call finds it."""
_RECENT = 50
_PROGRESS = {
    "QUEUED": Progress.CREATING,
    "BUILDING": Progress.CREATING,
    "INITIALIZING": Progress.CREATING,
    "READY": Progress.AVAILABLE,
    "ERROR": Progress.FAILED,
    "CANCELED": Progress.FAILED,
}


class VercelProject:
    """The project *project* (an id or a name) of *team*; *key* is an access token of that team."""

    def __init__(
        self,
        *,
        key: str,
        project: str,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        team: str = "",
        base: str = BASE,
        patience: float = 60.0,
    ) -> None:
        always: Parameters = {"teamId" if team.startswith("team_") else "slug": team} if team else {}
        vendor = Vendor(name="Vercel", base=base, reading=_reading, meaning=_meaning, always=always)
        self._http = JsonApi(vendor, key, sleep=sleep, now=now, patience=patience)
        self._project, self._path = project, f"/v10/projects/{project}/env"

    def variables(self) -> tuple[Variable, ...]:
        """Return the project's variables, without their values."""
        return tuple(
            Variable(
                name=each.key,
                targets=each.targets,
                managed=each.configuration_id is not None,
                readable=each.readable,
            )
            for each in self._variables()
        )

    def set_variables(self, values: Mapping[str, str]) -> None:
        """Give production's variables new values, all of them looked at before the first one is changed."""
        there = {name: self._of_production(name) for name in values}
        for name, value in values.items():
            if (found := there[name]) is not None:
                self._http.change("PATCH", f"/v9/projects/{self._project}/env/{found.id}", {"value": value})
            else:
                self._create(name, value)

    def redeploy(self, name: str) -> Deployment:
        """Ask for a build of production's present deployment with the variables of now."""
        for each in self._deployments(limit=_RECENT):
            if each.meta.get(_MARK) == name:
                return self.deployment(each.uid)
        present = self._deployments(limit=1, state="READY")
        if not present:
            raise ProviderMissing(
                f"The Vercel project {self._project} has no production deployment that could be built anew.",
                hint="Deploy it once from its repository.",
            )
        body = {
            "name": present[0].name,
            "deploymentId": present[0].uid,
            "target": _PRODUCTION,
            "project": self._project,
            "meta": {_MARK: name},
        }
        return _told(read(Deployed, self._http.change("POST", "/v13/deployments", body, {"forceNew": 1})))

    def deployment(self, deployment_id: str) -> Deployment:
        """Return how far a deployment is."""
        return _told(read(Deployed, self._http.get(f"/v13/deployments/{deployment_id}")))

    def _of_production(self, name: str) -> EnvironmentVariable | None:
        """Return the variable *name* that production alone sees; raises when it may not be changed alone."""
        found = [
            each
            for each in self._variables()
            if each.key == name and _PRODUCTION in each.targets and each.git_branch is None
        ]
        for each in found:
            if each.configuration_id is not None:
                raise ProviderRefused(
                    f"The variable {name} belongs to an integration of the Vercel project {self._project}.",
                    hint="Let the application read a variable of your own, and name that one.",
                )
            if each.targets != (_PRODUCTION,) or each.custom_environments:
                others = ", ".join(other for other in each.targets if other != _PRODUCTION) or "custom environments"
                raise ProviderRefused(
                    f"Production shares the variable {name} with {others}.",
                    hint="Give production a variable of its own in the Vercel project's settings.",
                )
        return found[0] if found else None

    def _create(self, name: str, value: str) -> None:
        body: Document = {"key": name, "value": value, "type": "sensitive", "target": [_PRODUCTION]}
        answer = self._http.change("POST", self._path, body, {"upsert": "true"})
        failed = answer.get("failed")
        if not isinstance(failed, list):
            raise UnexpectedState(f"Vercel did not tell whether it took the variable {name}.")
        if failed:  # it answers 201 nevertheless
            codes = ", ".join(sorted({read(Failed, each).error.code for each in failed}))
            raise ProviderRefused(f"Vercel did not take the variable {name}: {codes}.")

    def _variables(self) -> list[EnvironmentVariable]:
        answer = self._http.get(self._path)
        found = answer.get("envs", [answer] if "key" in answer else None)
        if not isinstance(found, list):
            raise UnexpectedState(f"Vercel did not tell the variables of the project {self._project}.")
        return [read(EnvironmentVariable, each) for each in found]

    def _deployments(self, **asked: str | int) -> list[Listed]:
        answer = self._http.get("/v6/deployments", projectId=self._project, target=_PRODUCTION, **asked)
        found = answer.get("deployments")
        if not isinstance(found, list):
            raise UnexpectedState(f"Vercel did not tell the deployments of the project {self._project}.")
        return [read(Listed, each) for each in found]


def _told(found: Deployed) -> Deployment:
    if found.state not in _PROGRESS:
        raise UnexpectedState(f"Vercel says that a deployment is {found.state!r}, which Holdfast does not know.")
    progress = _PROGRESS[found.state]
    failure = f"The build ended as {found.state} ({found.error_code or 'no reason'})."
    if progress is Progress.AVAILABLE:
        failure = _not_serving(found)
        progress = Progress.FAILED if failure else progress
    return Deployment(id=found.id, progress=progress, failure=failure if progress is Progress.FAILED else "")


def _not_serving(found: Deployed) -> str:
    """Return why a built deployment serves nobody; empty when it does."""
    if found.alias_error is not None:
        return f"It was built, but its domains were not given to it ({found.alias_error.code})."
    return "It was built, but waits to be promoted: do that in Vercel." if found.substate == "STAGED" else ""


def _reading(body: Document) -> tuple[str, str]:
    error = body.get("error")
    found = error if isinstance(error, dict) else {}
    return str(found.get("message") or ""), str(found.get("code") or "")


def _meaning(complaint: Complaint) -> HoldfastError | None:
    if complaint.status == 400 and "concurrent" in complaint.said.lower():
        return ProviderBusy(complaint.told, retry_after=complaint.retry_after)
    if complaint.code.startswith("ENV_"):
        return ProviderRefused(complaint.told, code=complaint.code)
    return None
