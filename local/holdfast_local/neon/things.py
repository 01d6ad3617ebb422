"""What a Neon project consists of, and how its API writes each of it down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from holdfast_local.history import RecordedServer

Document = dict[str, Any]
REGION = "aws-eu-central-1"
HOST = "127.0.0.1"
_UNUSED = {
    "active_time_seconds": 0,
    "compute_time_seconds": 0,
    "cpu_used_sec": 0,
    "written_data_bytes": 0,
    "data_transfer_bytes": 0,
}


def moment(value: datetime) -> str:
    """Return *value* as Neon writes it: RFC 3339 in UTC."""
    return value.isoformat().replace("+00:00", "Z")


@dataclass(kw_only=True)
class Branch:
    """
    A branch: *storage* is the real server behind it, absent until the operation that makes it has run.

    *passwords* are those of its roles.
    """

    id: str
    project_id: str
    name: str
    created_at: datetime
    parent_id: str | None = None
    parent_lsn: str | None = None
    parent_timestamp: datetime | None = None
    default: bool = False
    protected: bool = False
    expires_at: datetime | None = None
    state: str = "init"
    pending_state: str | None = None
    storage: RecordedServer | None = None
    passwords: dict[str, str] = field(default_factory=dict)
    restored_from: str | None = None
    restore_status: str | None = None
    restored_as: str | None = None
    logical_size: int | None = None

    @property
    def is_root(self) -> bool:
        """Tell whether the branch has no parent, which snapshots and restores need."""
        return self.parent_id is None

    def document(self) -> Document:
        """Return the branch as the API shows it."""
        known: Document = {
            "id": self.id,
            "project_id": self.project_id,
            "name": self.name,
            "current_state": self.state,
            "state_changed_at": moment(self.created_at),
            "creation_source": "console",
            "created_at": moment(self.created_at),
            "updated_at": moment(self.created_at),
            "default": self.default,
            "protected": self.protected,
            **_UNUSED,
        }
        optional = {
            "parent_id": self.parent_id,
            "parent_lsn": self.parent_lsn,
            "parent_timestamp": moment(self.parent_timestamp) if self.parent_timestamp else None,
            "pending_state": self.pending_state,
            "expires_at": moment(self.expires_at) if self.expires_at else None,
            "logical_size": self.logical_size,
            "restored_from": self.restored_from,
            "restore_status": self.restore_status,
            "restored_as": self.restored_as,
        }
        return known | {name: value for name, value in optional.items() if value is not None}


@dataclass(kw_only=True)
class Endpoint:
    """A compute: an address of its own, *port*, that stays when it moves to another branch."""

    id: str
    project_id: str
    branch_id: str
    port: int
    created_at: datetime
    type: str = "read_write"
    state: str = "init"

    @property
    def host(self) -> str:
        """Return the host name; clients of the twin reach it at `HOST` and the endpoint's port."""
        return f"{self.id}.{REGION.removeprefix('aws-')}.aws.neon.tech"

    def document(self) -> Document:
        """Return the endpoint as the API shows it."""
        return {
            "host": self.host,
            "id": self.id,
            "project_id": self.project_id,
            "branch_id": self.branch_id,
            "autoscaling_limit_min_cu": 0.25,
            "autoscaling_limit_max_cu": 0.25,
            "region_id": REGION,
            "type": self.type,
            "current_state": self.state,
            "settings": {},
            "pooler_enabled": False,
            "pooler_mode": "transaction",
            "disabled": False,
            "passwordless_access": True,
            "creation_source": "console",
            "created_at": moment(self.created_at),
            "updated_at": moment(self.created_at),
            "proxy_host": f"{REGION.removeprefix('aws-')}.aws.neon.tech",
            "suspend_timeout_seconds": 0,
            "provisioner": "k8s-neonvm",
        }


@dataclass(kw_only=True)
class Snapshot:
    """A snapshot: *storage* is a physical copy that was recovered once and lies still since."""

    id: str
    name: str
    source_branch_id: str
    created_at: datetime
    timestamp: datetime
    lsn: str | None = None
    expires_at: datetime | None = None
    manual: bool = True
    storage: RecordedServer | None = None
    passwords: dict[str, str] = field(default_factory=dict)
    full_size: int | None = None

    def document(self) -> Document:
        """Return the snapshot as the API shows it."""
        optional = {
            "lsn": self.lsn,
            "expires_at": moment(self.expires_at) if self.expires_at else None,
            "full_size": self.full_size,
        }
        return {
            "id": self.id,
            "name": self.name,
            "source_branch_id": self.source_branch_id,
            "created_at": moment(self.created_at),
            "timestamp": moment(self.timestamp),
            "manual": self.manual,
            **{name: value for name, value in optional.items() if value is not None},
        }


@dataclass(kw_only=True)
class Operation:
    """One step of something asked for; *status* moves from `scheduling` over `running` to its end."""

    id: str
    project_id: str
    action: str
    created_at: datetime
    branch_id: str | None = None
    endpoint_id: str | None = None
    status: str = "scheduling"
    error: str | None = None
    failures_count: int = 0
    ended_at: datetime | None = None

    def document(self) -> Document:
        """Return the operation as the API shows it."""
        ended = self.ended_at or self.created_at
        optional = {"branch_id": self.branch_id, "endpoint_id": self.endpoint_id, "error": self.error}
        return {
            "id": self.id,
            "project_id": self.project_id,
            "action": self.action,
            "status": self.status,
            "failures_count": self.failures_count,
            "created_at": moment(self.created_at),
            "updated_at": moment(ended),
            "total_duration_ms": int((ended - self.created_at).total_seconds() * 1000),
            **{name: value for name, value in optional.items() if value is not None},
        }
