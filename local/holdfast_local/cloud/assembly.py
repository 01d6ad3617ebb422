"""Put the local cloud together inside the server process."""

from __future__ import annotations

from pathlib import Path

from holdfast_local.cloud import executions_api, functions, interpreter, permissions
from holdfast_local.cloud.logs import LogWriter
from holdfast_local.cloud.runner import Runner


def assemble(directory: Path, *, endpoint: str, account: str) -> Runner:
    """Install every addition to ministack; return the runner, which the server must close."""
    logs = LogWriter(directory / "logs", account)
    runner = Runner(
        directory,
        credentials=lambda spec: functions.credentials_of(spec, endpoint=endpoint),
        sink=logs.write,
    )
    functions.install(runner)
    permissions.install()
    executions_api.install()
    interpreter.install(endpoint)
    return runner
