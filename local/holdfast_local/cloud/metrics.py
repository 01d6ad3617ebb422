"""
Turn log lines in CloudWatch's embedded metric format into metrics.

CloudWatch does so for every line a function prints; ministack does not.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast_local.cloud import hooks


@dataclass(frozen=True)
class Datum:
    """One value, or several values, of one metric; `timestamp` in seconds since the epoch."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    timestamp: float
    unit: str
    values: tuple[float, ...]


def read(line: str, *, now: float) -> Iterator[Datum]:
    """Yield the metrics that *line* declares; nothing when it is not in the format."""
    try:
        entry = json.loads(line)
    except ValueError:
        return
    if not isinstance(entry, dict) or not isinstance(entry.get("_aws"), dict):
        return
    timestamp = entry["_aws"].get("Timestamp", now * 1000) / 1000
    for declared in entry["_aws"].get("CloudWatchMetrics", []):
        yield from _declared(entry, declared, timestamp)


def _declared(entry: dict[str, Any], declared: dict[str, Any], timestamp: float) -> Iterator[Datum]:
    for names in declared.get("Dimensions") or [[]]:
        dimensions = {name: str(entry[name]) for name in names if name in entry}
        for metric in declared.get("Metrics", []):
            value = entry.get(metric["Name"])
            if value is not None:
                values = tuple(float(each) for each in (value if isinstance(value, list) else [value]))
                unit = metric.get("Unit", "None")
                yield Datum(declared["Namespace"], metric["Name"], dimensions, timestamp, unit, values)


def record(line: str) -> None:
    """Store the metrics of *line* in the local cloud and judge its alarms."""
    service = hooks.module("ministack.services.cloudwatch")
    for datum in read(line, now=time.time()):
        for value in datum.values:
            service._store_datum(
                datum.namespace, datum.name, datum.dimensions, datum.timestamp, datum.unit, value, None, None, None
            )
    service._evaluate_all_alarms()
