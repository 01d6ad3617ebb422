"""RDS's query API over an account: requests and answers are read and written by botocore's own model."""

from __future__ import annotations

import re
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from moto.core.model import ServiceModel
from moto.core.parse import QueryParser
from moto.core.serialize import QuerySerializer, SerializationContext
from moto.core.utils import get_service_model
from werkzeug.wrappers import Request, Response

from holdfast_local.rds.account import Account, Document
from holdfast_local.rds.clusters import Clusters
from holdfast_local.rds.errors import Refused
from holdfast_local.rds.instances import Instances
from holdfast_local.rds.parameters import parameters_of
from holdfast_local.rds.snapshots import OF_CLUSTERS, OF_INSTANCES, Snapshots

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from moto.core.parse import RequestDict

_CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/")
Action = Callable[[str, Document], Document]


@dataclass(slots=True, kw_only=True)
class Fault:
    """What to answer in place of the next *times* calls of *action* (any, when empty)."""

    code: str
    status: int = 400
    times: int = 1
    action: str = ""


class Api:
    """The WSGI application; the region of a request is the one that it was signed for."""

    def __init__(self, account: Account) -> None:
        instances, clusters = Instances(account), Clusters(account)
        self.snapshots, self.cluster_snapshots = Snapshots(account, OF_INSTANCES), Snapshots(account, OF_CLUSTERS)
        self.faults: deque[Fault] = deque()
        self.calls: list[str] = []
        self._model: ServiceModel = get_service_model("rds")
        self._actions: dict[str, Action] = {
            "CreateDBInstance": instances.create,
            "DescribeDBInstances": instances.describe,
            "ModifyDBInstance": instances.modify,
            "DeleteDBInstance": instances.delete,
            "RestoreDBInstanceFromDBSnapshot": instances.restore_snapshot,
            "RestoreDBInstanceToPointInTime": instances.restore_to_time,
            "DescribeDBInstanceAutomatedBackups": instances.automated_backups,
            "StartDBInstanceAutomatedBackupsReplication": instances.replicate_backups,
            "DescribeDBParameters": parameters_of("DBParameterGroupName"),
            "DescribeDBClusterParameters": parameters_of("DBClusterParameterGroupName"),
            "DescribeAccountAttributes": account.attributes,
            "CreateDBSnapshot": self.snapshots.create,
            "DescribeDBSnapshots": self.snapshots.describe,
            "CopyDBSnapshot": self.snapshots.copy,
            "DeleteDBSnapshot": self.snapshots.delete,
            "ModifyDBSnapshotAttribute": self.snapshots.share,
            "CreateDBCluster": clusters.create,
            "DescribeDBClusters": clusters.describe,
            "ModifyDBCluster": clusters.modify,
            "DeleteDBCluster": clusters.delete,
            "RestoreDBClusterFromSnapshot": clusters.restore_snapshot,
            "RestoreDBClusterToPointInTime": clusters.restore_to_time,
            "CreateDBClusterSnapshot": self.cluster_snapshots.create,
            "DescribeDBClusterSnapshots": self.cluster_snapshots.describe,
            "CopyDBClusterSnapshot": self.cluster_snapshots.copy,
            "DeleteDBClusterSnapshot": self.cluster_snapshots.delete,
            "ModifyDBClusterSnapshotAttribute": self.cluster_snapshots.share,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        name, request_id = request.form.get("Action", ""), str(uuid.uuid4())
        self.calls.append(name)
        try:
            self._break(name)
            if name not in self._actions:
                raise Refused("InvalidAction", f"The twin of RDS does not know {name}.")
            operation = self._model.operation_model(name)
            parsed = QueryParser(operation, timestamp_parser=datetime.fromisoformat).parse(_message(request))
            found = self._actions[name](_region(request), parsed)
        except Refused as refused:
            return _refusal(refused, request_id)
        serializer = QuerySerializer(operation, SerializationContext(request_id))
        answer = serializer.serialize(found)
        return Response(answer["body"], answer["status_code"], mimetype="text/xml")

    def _break(self, name: str) -> None:
        fault = next((each for each in self.faults if each.action in {"", name}), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            raise Refused(fault.code, "injected", status=fault.status)


def _message(request: Request) -> RequestDict:
    return {
        "body": request.get_data(),
        "headers": request.headers,
        "method": request.method,
        "url_params": {},
        "url_path": request.path,
        "values": request.form,
    }


def _region(request: Request) -> str:
    found = _CREDENTIAL.search(request.headers.get("Authorization", ""))
    if found is None:
        raise Refused("MissingAuthenticationToken", "The request is not signed.", status=403)
    return found.group(1)


def _refusal(refused: Refused, request_id: str) -> Response:
    body = (
        '<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Error><Type>Sender</Type>'
        f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(body, refused.status, mimetype="text/xml")
