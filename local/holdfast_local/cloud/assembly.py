"""Put the local cloud together inside the server process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from holdfast_local.cloud import (
    alarms,
    buckets,
    declared,
    deliveries,
    executions_api,
    functions,
    interpreter,
    object_locks,
    objects,
    permissions,
    properties,
    replica_keys,
    replication,
    schedules,
    secrets_by_arn,
    tables,
)
from holdfast_local.cloud.logs import LogWriter
from holdfast_local.cloud.runner import Runner


def assemble(
    directory: Path, *, endpoint: str, schedules_fire: bool, elsewhere: Mapping[str, str] | None = None
) -> Runner:
    """
    Install every addition to ministack; return the runner, which the server must close.

    *elsewhere* are variables by which functions find services that are not here.
    """
    logs = LogWriter(directory / "logs")
    runner = Runner(
        directory,
        credentials=lambda spec: functions.credentials_of(spec, endpoint=endpoint, elsewhere=elsewhere or {}),
        sink=logs.write,
    )
    functions.install(runner)
    deliveries.install(endpoint)
    permissions.install()
    executions_api.install()
    interpreter.install(endpoint)
    for part in (alarms, buckets, object_locks, objects, replication, replica_keys, secrets_by_arn, tables, declared):
        part.install()
    schedules.install(endpoint, fires=schedules_fire)
    properties.install()
    return runner
