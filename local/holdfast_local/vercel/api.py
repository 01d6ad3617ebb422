"""Vercel's HTTP API over one project: the calls that a cutover makes."""

from __future__ import annotations

import json
import secrets
import time
from collections import deque
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from holdfast_local.twin_messages import Exchange, Fault
from holdfast_local.twin_server import HOST, serving
from holdfast_local.vercel.project import ACCOUNT, Answered, Build, Document, Project

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_RULES = (
    ("GET", "/v10/projects/<project>/env", "list_variables"),
    ("POST", "/v10/projects/<project>/env", "upsert_variable"),
    ("PATCH", "/v9/projects/<project>/env/<variable>", "change_variable"),
    ("GET", "/v6/deployments", "list_deployments"),
    ("POST", "/v13/deployments", "deploy"),
    ("GET", "/v13/deployments/<deployment>", "read_deployment"),
)
_HIDDEN = "encrypted:"


class VercelTwin:
    """A project behind *url* with *key*, in the team `ACCOUNT`; it has been deployed once."""

    def __init__(self, *, seconds: float = 0.05) -> None:
        self.project = Project(seconds=seconds)
        self.key = f"vcp_{secrets.token_hex(16)}"
        self.faults: deque[Fault] = deque()
        self.exchanges: list[Exchange] = []
        self.refused: set[str] = set()
        """Names of variables that are not taken, though the answer is 201."""
        self._routes = Map([Rule(path, methods=[method], endpoint=name) for method, path, name in _RULES])
        self._open = ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        self.project.build({}).began = 0.0
        self.url = f"http://{HOST}:{self._open.enter_context(serving(self, 'vercel'))}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        fault = next((each for each in self.faults if each.matches(request)), None)
        if fault is not None:
            self.faults.remove(fault)
            body = fault.raw or json.dumps(Answered(fault.status, "injected", fault.message).document()).encode()
            return Response(body, fault.status, headers=fault.headers, mimetype="application/json")
        try:
            status, answered = self._served(request)
        except Answered as refused:
            status, answered = refused.status, refused.document()
        except HTTPException as error:
            status, answered = error.code or 500, Answered(500, "not_found", error.name).document()
        self.exchanges.append(
            Exchange(
                method=request.method,
                path=request.path,
                parameters=frozenset(request.args),
                sent=request.get_json(silent=True),
                status=status,
                answered=answered,
            )
        )
        return Response(json.dumps(answered), status, mimetype="application/json")

    def _served(self, request: Request) -> tuple[int, Any]:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise Answered(403, "forbidden", "Not authorized")
        if request.args.get("teamId") != ACCOUNT:
            raise Answered(404, "not_found", "Project not found.")
        name, found = self._routes.bind_to_environ(request.environ).match()
        values = dict(found)
        if values.pop("project", self.project.name) != self.project.name:
            raise Answered(404, "not_found", "Project not found.")
        status, body = getattr(self, f"_{name}")(request, **values)
        return status, body

    def _list_variables(self, _: Request) -> tuple[int, Any]:
        return 200, {"envs": [{**each, "value": _HIDDEN} for each in self.project.variables.values()]}

    def _upsert_variable(self, request: Request) -> tuple[int, Any]:
        wanted = request.get_json()
        if wanted["key"] in self.refused:
            error = {"code": "ENV_INVALID", "message": "It was not taken.", "key": wanted["key"]}
            return 201, {"created": [], "failed": [{"error": error}]}
        made = self.project.upsert(wanted)
        return 201, {"created": {**made, "value": _HIDDEN}, "failed": []}

    def _change_variable(self, request: Request, variable: str) -> tuple[int, Any]:
        found = self.project.variables.get(variable)
        if found is None:
            raise Answered(404, "not_found", "The variable was not found.")
        if "configurationId" in found:
            raise Answered(403, "forbidden", "The variable belongs to an integration.")
        found |= request.get_json()
        return 200, {**found, "value": _HIDDEN}

    def _list_deployments(self, request: Request) -> tuple[int, Any]:
        state, limit = request.args.get("state"), int(request.args.get("limit", 20))
        found = [each for each in self.project.builds if state in {None, self.project.state(each)}][:limit]
        pagination = {"count": len(found), "next": None, "prev": None}
        return 200, {"deployments": [self._listed(each) for each in found], "pagination": pagination}

    def _deploy(self, request: Request) -> tuple[int, Any]:
        wanted = request.get_json()
        if wanted.get("deploymentId") not in {each.id for each in self.project.builds}:
            raise Answered(404, "not_found", "The deployment was not found.")
        return 200, self._deployed(self.project.build(wanted.get("meta", {})))

    def _read_deployment(self, _: Request, deployment: str) -> tuple[int, Any]:
        found = next((each for each in self.project.builds if each.id == deployment), None)
        if found is None:
            raise Answered(404, "not_found", "The deployment was not found.")
        return 200, self._deployed(found)

    def _listed(self, build: Build) -> Document:
        now = int(time.time() * 1000)
        return {
            "uid": build.id,
            "name": build.name,
            "projectId": "prj_local",
            "url": "shop-1.vercel.app",
            "created": now,
            "type": "LAMBDAS",
            "creator": {"uid": "local"},
            "inspectorUrl": None,
            "meta": build.meta,
            "readyState": self.project.state(build),
            "target": "production",
        }

    def _deployed(self, build: Build) -> Document:
        now, state = int(time.time() * 1000), self.project.state(build)
        ready: Document = {"readySubstate": build.substate} if state == "READY" else {}
        failed: Document = {"errorCode": "BUILD_FAILED", "errorMessage": "exit 1"} if state == "ERROR" else {}
        return {
            "id": build.id,
            "name": build.name,
            "projectId": "prj_local",
            "ownerId": ACCOUNT,
            "url": "shop-1.vercel.app",
            "inspectorUrl": None,
            "target": "production",
            "type": "LAMBDAS",
            "version": 2,
            "plan": "pro",
            "createdIn": "sfo1",
            "regions": ["fra1"],
            "routes": None,
            "public": False,
            "meta": build.meta,
            "env": [],
            "build": {"env": []},
            "projectSettings": {},
            "creator": {"uid": "local"},
            "status": state,
            "readyState": state,
            "aliasError": build.alias_error if state == "READY" else None,
            "isInConcurrentBuildsQueue": False,
            "isInSystemBuildsQueue": False,
            "buildSkipped": False,
            **dict.fromkeys(("bootedAt", "buildingAt", "createdAt"), now),
            "aliasAssigned": state == "READY",
            **ready,
            **failed,
        }
