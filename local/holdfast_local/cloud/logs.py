"""Write what functions print: to CloudWatch Logs of the local cloud, and to files for people."""

from __future__ import annotations

import logging
import re
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from holdfast_local.cloud import hooks, metrics
from holdfast_local.cloud.function_spec import FunctionSpec

LOG = logging.getLogger(__name__)


class LogWriter:
    """
    Append each line at once to its function's log stream and to `<directory>/<function>.log`.

    ministack writes a stream for each invocation, and only when it has ended; AWS has one for each
    execution environment, and people want to see a long backup while it runs.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, TextIO] = {}
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)

    def write(self, spec: FunctionSpec, stream: str, line: str) -> None:
        """Append *line*; a line in CloudWatch's embedded metric format becomes metrics too."""
        try:
            self._write(spec, stream, line)
        except Exception:
            # The function must not stand still because nobody takes its output.
            LOG.exception("A line of %s could not be written", spec.name)

    def _write(self, spec: FunctionSpec, stream: str, line: str) -> None:
        enter_scope(spec.arn)
        with self._lock:
            self._to_file(spec, line)
            self._to_stream(spec, stream, line)
        if '"_aws"' in line:
            metrics.record(line)

    def _to_file(self, spec: FunctionSpec, line: str) -> None:
        name = re.sub(r"[^\w.-]", "_", spec.name)
        if name not in self._files:
            self._files[name] = (self._directory / f"{name}.log").open("a", encoding="utf-8", buffering=1)
        self._files[name].write(f"{time.strftime('%H:%M:%S')} {line}\n")

    def _to_stream(self, spec: FunctionSpec, name: str, line: str) -> None:
        service = hooks.module("ministack.services.cloudwatch_logs")
        now = int(time.time() * 1000)
        group = service._log_groups.get(spec.log_group)
        if group is None:
            group = service._log_groups[spec.log_group] = _new_group(service, spec.log_group, now)
        stream = group["streams"].setdefault(name, _new_stream(now))
        service._append_log_events(stream, [{"timestamp": now, "message": line, "ingestionTime": now}])


def enter_scope(arn: str) -> None:
    """
    Let this thread act in the account and region of *arn*.

    ministack keeps both in variables of the request's context, which a thread of our own does not have.
    """
    responses = hooks.module("ministack.core.responses")
    region, account = arn.split(":")[3:5]
    responses.set_request_account_id(account)
    responses.set_request_region(region)


def _new_group(service: Any, name: str, now: int) -> dict[str, Any]:
    return {
        "arn": service._make_group_arn(name),
        "creationTime": now,
        "retentionInDays": None,
        "tags": {},
        "subscriptionFilters": {},
        "streams": {},
    }


def _new_stream(now: int) -> dict[str, Any]:
    return {
        "events": [],
        "uploadSequenceToken": "1",
        "creationTime": now,
        "firstEventTimestamp": None,
        "lastEventTimestamp": None,
        "lastIngestionTime": None,
    }
