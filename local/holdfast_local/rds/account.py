"""
The RDS resources of one account in some regions, each with a real server or a physical copy behind it.

Documents have the shapes of boto3's answers. Work runs in the background: what is asked for goes through RDS's
transitional states, for *seconds* at least, before it is there.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from holdfast_local.history import Moment, RecordedServer
from holdfast_local.rds.errors import Refused, missing, taken, wrong_state

Document = dict[str, Any]
ACCOUNT = "123456789012"
HOST = "127.0.0.1"
STATUS = {
    "DBInstance": "DBInstanceStatus",
    "DBSnapshot": "Status",
    "DBCluster": "Status",
    "DBClusterSnapshot": "Status",
}
IDENTIFIER = {kind: f"{kind}Identifier" for kind in STATUS}
_ARN = {"DBInstance": "db", "DBSnapshot": "snapshot", "DBCluster": "cluster", "DBClusterSnapshot": "cluster-snapshot"}


@dataclass
class Resource:
    """One thing: its *document*, and the server or physical copy behind it."""

    kind: str
    region: str
    document: Document
    storage: RecordedServer | None = None
    history_from: datetime | None = None

    @property
    def identifier(self) -> str:
        """Return its identifier, which is unique for its kind and region."""
        return str(self.document[IDENTIFIER[self.kind]])

    @property
    def status(self) -> str:
        """Return its state in RDS's words."""
        return str(self.document[STATUS[self.kind]])

    @status.setter
    def status(self, value: str) -> None:
        self.document[STATUS[self.kind]] = value

    def server(self) -> RecordedServer:
        """Return what lies behind it."""
        if self.storage is None:
            raise wrong_state(self.kind, self.identifier, self.status)
        return self.storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Quotas and lags that differ from account to account; *lag* is how far the latest restorable time is behind."""

    manual_snapshots: int = 100
    copies_in_progress: int = 20
    lag: timedelta = timedelta(0)


@dataclass
class Account:
    """Everything in all regions. `break_next` lets the next job fail, `hold` keeps jobs from ending."""

    directory: Path
    major: int = 18
    seconds: float = 0.1
    limits: Limits = field(default_factory=Limits)
    things: dict[tuple[str, str, str], Resource] = field(default_factory=dict)
    break_next: bool = False
    stuck: bool = False
    servers: type[RecordedServer] = RecordedServer

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=16, thread_name_prefix="rds")
        self._jobs: list[Future[None]] = []
        self._stopping = threading.Event()
        self.lock = threading.RLock()

    def find(self, kind: str, region: str, identifier: str) -> Resource:
        """Return a thing by its identifier or ARN; raises the error for its kind."""
        if identifier.startswith("arn:"):
            region, identifier = identifier.split(":")[3], identifier.split(":", 6)[6]
        found = self.things.get((kind, region, identifier.lower()))
        if found is None:
            raise missing(kind, identifier)
        return found

    def all(self, kind: str, region: str) -> list[Resource]:
        """Return the things of one kind in a region."""
        with self.lock:
            return [each for (known, where, _), each in self.things.items() if (known, where) == (kind, region)]

    def manual_snapshots(self, kind: str, region: str) -> int:
        """Return how many manual snapshots of one kind there are in a region."""
        return sum(each.document["SnapshotType"] == "manual" for each in self.all(kind, region))

    def attributes(self, region: str, _: Document) -> Document:
        """Describe how much of its limits the account uses."""
        return {
            "AccountQuotas": [
                {
                    "AccountQuotaName": name,
                    "Used": self.manual_snapshots(kind, region),
                    "Max": self.limits.manual_snapshots,
                }
                for name, kind in (("ManualSnapshots", "DBSnapshot"), ("ManualClusterSnapshots", "DBClusterSnapshot"))
            ]
        }

    def add(self, kind: str, region: str, document: Document) -> Resource:
        """Add a thing with its ARN; raises the error for a name that is taken."""
        resource = Resource(kind, region, document)
        key = (kind, region, resource.identifier.lower())
        with self.lock:
            if key in self.things:
                raise taken(kind, resource.identifier)
            document[f"{kind}Arn"] = f"arn:aws:rds:{region}:{ACCOUNT}:{_ARN[kind]}:{resource.identifier}"
            document.setdefault("TagList", [])
            self.things[key] = resource
        return resource

    def rename(self, resource: Resource, identifier: str) -> None:
        """Give a thing another identifier; what was made of it keeps the old one."""
        with self.lock:
            key = (resource.kind, resource.region, identifier.lower())
            if key in self.things:
                raise taken(resource.kind, identifier)
            del self.things[resource.kind, resource.region, resource.identifier.lower()]
            resource.document[IDENTIFIER[resource.kind]] = identifier
            self.things[key] = resource

    def drop(self, resource: Resource) -> None:
        """Remove a thing with what lies behind it."""
        with self.lock:
            self.things.pop((resource.kind, resource.region, resource.identifier.lower()), None)
        if resource.storage is not None:
            resource.storage.remove()

    def later(self, resource: Resource, work: Callable[[], None], *, then: str = "available") -> None:
        """Run *work* in the background and set the state to *then*; to `failed` when it breaks."""
        broken, self.break_next = self.break_next, False

        def run() -> None:
            time.sleep(self.seconds)
            while self.stuck and not self._stopping.is_set():
                time.sleep(0.02)
            if self._stopping.is_set():
                return
            try:
                if broken:
                    raise RuntimeError("the twin was told to break")
                work()
            except Exception:  # noqa: BLE001  # whatever went wrong, RDS says only that it failed
                resource.status = "failed"
            else:
                resource.status = then

        self._jobs.append(self._pool.submit(run))

    def settle(self) -> None:
        """Wait until no job runs."""
        for job in list(self._jobs):
            job.result(timeout=120)

    def stop(self) -> None:
        """End all jobs, and remove everything."""
        self._stopping.set()
        self._pool.shutdown(wait=True)
        for resource in self.things.values():
            if resource.storage is not None:
                resource.storage.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    def place(self) -> Path:
        """Return a directory for a new server."""
        return self.directory / secrets.token_hex(6)

    def freeze(self, source: RecordedServer, moment: Moment) -> RecordedServer:
        """Return a physical copy of *moment* that was recovered once and lies still."""
        copy = source.restore(self.place(), moment)
        copy.start()
        copy.stop()
        return copy

    def latest(self, resource: Resource) -> datetime:
        """Return the latest restorable time of an instance or cluster."""
        began = resource.history_from or now()
        return max(began, now() - self.limits.lag)


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def refuse_unless_available(resource: Resource) -> None:
    """Raise the error for a thing that is in another state than `available`."""
    if resource.status != "available":
        raise wrong_state(resource.kind, resource.identifier, resource.status)


def refuse_protected(resource: Resource) -> None:
    """Raise the error for a thing that deletion protection keeps."""
    if resource.document.get("DeletionProtection"):
        raise Refused(
            "InvalidParameterCombination",
            f"Cannot delete protected {resource.kind}: disable deletion protection",
        )
