"""Neon's HTTP API over one project: routes, the key, errors, and faults that a test asks for."""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from holdfast_local.neon.branching import Branching
from holdfast_local.neon.errors import Refused, missing
from holdfast_local.neon.freezing import Freezing
from holdfast_local.neon.messages import body_of, documents_of, page_of
from holdfast_local.neon.project import DATABASE, OWNER, Project
from holdfast_local.neon.things import Branch, Document, moment
from holdfast_local.twin_messages import Exchange, Fault

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BASE = "/api/v2"
_P, _B = "/projects/<project>", "/projects/<project>/branches/<branch>"
_RULES = (
    ("GET", _P, "read_project"),
    ("PATCH", _P, "change_project"),
    ("GET", f"{_P}/operations", "list_operations"),
    ("GET", f"{_P}/operations/<operation>", "read_operation"),
    ("GET", f"{_P}/connection_uri", "connection_uri"),
    ("GET", f"{_P}/branches", "list_branches"),
    ("POST", f"{_P}/branches", "create_branch"),
    ("GET", _B, "read_branch"),
    ("PATCH", _B, "change_branch"),
    ("DELETE", _B, "delete_branch"),
    ("POST", f"{_B}/restore", "restore_branch"),
    ("POST", f"{_B}/finalize_restore", "finalize_restore"),
    ("POST", f"{_B}/snapshot", "create_snapshot"),
    ("GET", f"{_B}/backup_schedule", "read_schedule"),
    ("PUT", f"{_B}/backup_schedule", "write_schedule"),
    ("GET", f"{_B}/endpoints", "branch_endpoints"),
    ("GET", f"{_B}/roles", "list_roles"),
    ("GET", f"{_B}/roles/<role>/reveal_password", "reveal_password"),
    ("GET", f"{_B}/databases", "list_databases"),
    ("GET", f"{_P}/endpoints", "list_endpoints"),
    ("POST", f"{_P}/endpoints", "create_endpoint"),
    ("DELETE", f"{_P}/endpoints/<endpoint>", "delete_endpoint"),
    ("GET", f"{_P}/snapshots", "list_snapshots"),
    ("PATCH", f"{_P}/snapshots/<snapshot>", "change_snapshot"),
    ("DELETE", f"{_P}/snapshots/<snapshot>", "delete_snapshot"),
    ("POST", f"{_P}/snapshots/<snapshot>/restore", "restore_snapshot"),
)
Answer = tuple[int, Document | None]


class Api:
    """
    The WSGI application.

    *exchanges* keeps each request that was served and its answer, but for those that a fault took the place of.
    """

    def __init__(self, project: Project, key: str) -> None:
        self.project, self._key = project, key
        self._branching, self._freezing = Branching(project), Freezing(project)
        self.faults: deque[Fault] = deque()
        self.exchanges: list[Exchange] = []
        self._routes = Map([Rule(BASE + path, methods=[method], endpoint=name) for method, path, name in _RULES])

    def revoke(self) -> None:
        """Revoke the key."""
        self._key = ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        request_id = request.headers.get("X-Request-ID", str(uuid.uuid4()))
        fault = next((each for each in self.faults if each.matches(request)), None)
        if fault is not None:
            return self._faulty(fault, request_id)
        try:
            if not self._key or request.headers.get("Authorization") != f"Bearer {self._key}":
                raise Refused(401, "authentication required")
            name, found = self._routes.bind_to_environ(request.environ).match()
            values = dict(found)
            if values.pop("project") != self.project.id:
                raise missing("project")
            status, body = getattr(self, f"_{name}")(request, **values)
        except Refused as refused:
            status, body = refused.status, refused.document(request_id)
        except HTTPException as error:
            status, body = error.code or 500, Refused(error.code or 500, error.name).document(request_id)
        exchange = Exchange(
            method=request.method,
            path=request.path.removeprefix(BASE),
            parameters=frozenset(request.args),
            sent=request.get_json(silent=True),
            status=status,
            answered=body,
        )
        self.exchanges.append(exchange)
        return Response(b"" if body is None else json.dumps(body), status, mimetype="application/json")

    def _faulty(self, fault: Fault, request_id: str) -> Response:
        fault.times -= 1
        if fault.times <= 0:
            self.faults.remove(fault)
        body = fault.raw or json.dumps(Refused(fault.status, fault.message).document(request_id)).encode()
        return Response(body, fault.status, headers=fault.headers, mimetype="application/json")

    # Projects and operations

    def _read_project(self, _: Request) -> Answer:
        return 200, {"project": self.project.document()}

    def _change_project(self, request: Request) -> Answer:
        wanted = body_of(request).get("project", {})
        if "history_retention_seconds" in wanted:
            self.project.history_seconds = int(wanted["history_retention_seconds"])
        return 200, {"project": self.project.document(), "operations": []}

    def _list_operations(self, request: Request) -> Answer:
        some, cursor = page_of(request, [each.document() for each in self.project.operations.all()], 1000)
        return 200, {"operations": some, **({"pagination": {"cursor": cursor}} if cursor else {})}

    def _read_operation(self, _: Request, operation: str) -> Answer:
        return 200, {"operation": self.project.operations.get(operation).document()}

    def _connection_uri(self, request: Request) -> Answer:
        asked = request.args
        if "branch_id" in asked:
            branch = self.project.branch(asked["branch_id"])
        else:
            branch = next(each for each in self.project.branches.values() if each.default)
        pooled = asked.get("pooled") == "true"
        return 200, {
            "uri": self.project.uri(branch, role=asked["role_name"], database=asked["database_name"], pooled=pooled)
        }

    # Branches

    def _list_branches(self, request: Request) -> Answer:
        search = request.args.get("search", "")
        found = [each.document() for each in self.project.branches.values() if search in each.name or search in each.id]
        some, cursor = page_of(request, found, 10_000)
        return 200, {"branches": some, "annotations": {}, "pagination": {"next": cursor} if cursor else {}}

    def _create_branch(self, request: Request) -> Answer:
        body = body_of(request)
        branch, operations = self._branching.create(body.get("branch", {}), body.get("endpoints", []))
        if "annotation_value" in body:
            self.project.annotations[branch.id] = body["annotation_value"]
        computes = [each.document() for each in self.project.endpoints_of(branch)]
        answer: Document = {
            "branch": branch.document(),
            "endpoints": computes,
            "operations": documents_of(operations),
            "roles": self._roles(branch),
            "databases": self._databases(branch),
        }
        return 201, answer

    def _read_branch(self, _: Request, branch: str) -> Answer:
        found = self.project.branch(branch)
        annotation = {
            "object": {"type": "console/branch", "id": found.id},
            "value": self.project.annotations.get(found.id, {}),
            "created_at": moment(found.created_at),
            "updated_at": moment(found.created_at),
        }
        return 200, {"branch": found.document(), "annotation": annotation}

    def _change_branch(self, request: Request, branch: str) -> Answer:
        found = self.project.branch(branch)
        operations = self._branching.change(found, body_of(request).get("branch", {}))
        return 200, {"branch": found.document(), "operations": documents_of(operations)}

    def _delete_branch(self, _: Request, branch: str) -> Answer:
        if branch not in self.project.branches:
            return 204, None
        found = self.project.branch(branch)
        operations = self._branching.delete(found)
        return 200, {"branch": found.document(), "operations": documents_of(operations)}

    def _restore_branch(self, request: Request, branch: str) -> Answer:
        found, body = self.project.branch(branch), body_of(request)
        if "source_branch_id" not in body:
            raise Refused(400, "source_branch_id is required")
        operations = self._branching.restore(found, body)
        return 200, {"branch": found.document(), "operations": documents_of(operations)}

    def _finalize_restore(self, request: Request, branch: str) -> Answer:
        operations = self._freezing.finalize(self.project.branch(branch), body_of(request).get("name"))
        return 200, {"operations": documents_of(operations)}

    # Snapshots

    def _create_snapshot(self, request: Request, branch: str) -> Answer:
        asked = request.args
        snapshot, operations = self._freezing.create(
            self.project.branch(branch),
            name=asked.get("name"),
            time=asked.get("timestamp"),
            lsn=asked.get("lsn"),
            expires_at=asked.get("expires_at"),
        )
        return 200, {"snapshot": snapshot.document(), "operations": documents_of(operations)}

    def _list_snapshots(self, _: Request) -> Answer:
        return 200, {"snapshots": [each.document() for each in self.project.snapshots.values()]}

    def _change_snapshot(self, request: Request, snapshot: str) -> Answer:
        found, wanted = self.project.snapshot(snapshot), body_of(request).get("snapshot", {})
        found.name = wanted.get("name", found.name)
        return 200, {"snapshot": found.document()}

    def _delete_snapshot(self, _: Request, snapshot: str) -> Answer:
        operations = self._freezing.delete(self.project.snapshot(snapshot))
        return 202, {"operations": documents_of(operations)}

    def _restore_snapshot(self, request: Request, snapshot: str) -> Answer:
        branch, operations = self._freezing.restore(self.project.snapshot(snapshot), body_of(request))
        return 200, {"branch": branch.document(), "endpoints": [], "operations": documents_of(operations)}

    def _read_schedule(self, _: Request, branch: str) -> Answer:
        return 200, {"schedule": self.project.schedules.get(self.project.branch(branch).id, [])}

    def _write_schedule(self, request: Request, branch: str) -> Answer:
        self.project.schedules[self.project.branch(branch).id] = body_of(request).get("schedule", [])
        return 200, {}

    # Computes, roles, databases

    def _branch_endpoints(self, _: Request, branch: str) -> Answer:
        found = self.project.endpoints_of(self.project.branch(branch))
        return 200, {"endpoints": [each.document() for each in found]}

    def _list_endpoints(self, _: Request) -> Answer:
        return 200, {"endpoints": [each.document() for each in self.project.endpoints.values()]}

    def _create_endpoint(self, request: Request) -> Answer:
        endpoint, operations = self._branching.add_endpoint(body_of(request).get("endpoint", {}))
        return 201, {"endpoint": endpoint.document(), "operations": documents_of(operations)}

    def _delete_endpoint(self, _: Request, endpoint: str) -> Answer:
        if endpoint not in self.project.endpoints:
            return 204, None
        found = self.project.endpoints[endpoint]
        operations = self._branching.drop_endpoint(found)
        return 200, {"endpoint": found.document(), "operations": documents_of(operations)}

    def _list_roles(self, _: Request, branch: str) -> Answer:
        return 200, {"roles": self._roles(self.project.branch(branch))}

    def _list_databases(self, _: Request, branch: str) -> Answer:
        return 200, {"databases": self._databases(self.project.branch(branch))}

    def _reveal_password(self, _: Request, branch: str, role: str) -> Answer:
        if not self.project.store_passwords:
            raise Refused(412, "passwords are not stored in this project")
        passwords = self.project.branch(branch).passwords
        if role not in passwords:
            raise missing("role")
        return 200, {"password": passwords[role]}

    def _roles(self, branch: Branch) -> list[Document]:
        at = moment(branch.created_at)
        return [{"branch_id": branch.id, "name": OWNER, "protected": False, "created_at": at, "updated_at": at}]

    def _databases(self, branch: Branch) -> list[Document]:
        at = moment(branch.created_at)
        return [
            {
                "id": 1,
                "branch_id": branch.id,
                "name": DATABASE,
                "owner_name": OWNER,
                "created_at": at,
                "updated_at": at,
            }
        ]
