"""The settings of a Neon project and branch that recovery depends on: read, set, and described."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.adapters.json_api import Document
from holdfast.adapters.neon.plans import most_root_branches
from holdfast.adapters.neon.project import NeonProject, read
from holdfast.adapters.neon.things import Scheduled
from holdfast.errors import BadRequest
from holdfast.model.provider_settings import (
    ENCRYPTED,
    HISTORY_SECONDS,
    MOST_ROOT_BRANCHES,
    NEVER,
    PROTECTED,
    ROOT_BRANCHES,
    SNAPSHOT_HOUR,
    SNAPSHOT_KEEP_SECONDS,
    Setting,
    Value,
)

LONGEST_HISTORY_SECONDS = 2_592_000
LONGEST_KEPT_SECONDS = 3_024_000
_DAILY = "daily"
_OF_PROJECT = (
    *("id", "name", "region_id", "pg_version", "history_retention_seconds", "store_passwords", "settings"),
    *("default_endpoint_settings", "org_id", "created_at"),
)
_OF_BRANCH = ("id", "name", "parent_id", "default", "protected", "expires_at", "created_at")
_OF_COMPUTE = (
    *("id", "branch_id", "type", "region_id", "autoscaling_limit_min_cu", "autoscaling_limit_max_cu", "settings"),
    *("suspend_timeout_seconds", "pooler_enabled", "pooler_mode", "disabled", "passwordless_access"),
)


def settings_of(project: NeonProject) -> tuple[Setting, ...]:
    """Return the settings of the project and of its protected branch; Neon encrypts everything at rest."""
    facts, source = project.facts(), project.source()
    daily = _daily(_schedule(project, source.id))
    kept = LONGEST_KEPT_SECONDS if daily and daily.retention_seconds is None else 0
    return (
        Setting(ENCRYPTED, value=True),
        Setting(PROTECTED, source.protected),
        Setting(HISTORY_SECONDS, facts.history_retention_seconds),
        Setting(SNAPSHOT_HOUR, NEVER if daily is None else daily.hour or 0),
        Setting(SNAPSHOT_KEEP_SECONDS, daily.retention_seconds or kept if daily else 0),
        Setting(ROOT_BRANCHES, sum(each.parent_id is None for each in project.branches())),
        Setting(MOST_ROOT_BRANCHES, most_root_branches(facts)),
    )


def apply_settings(project: NeonProject, changes: Sequence[Setting]) -> None:
    """Set *changes*; the branch's schedule keeps its other lines."""
    wanted = {each.name: each.value for each in changes}
    unknown = sorted(set(wanted) - {*_SETTERS, SNAPSHOT_HOUR, SNAPSHOT_KEEP_SECONDS})
    if unknown:
        raise BadRequest(f"Neon has no setting {', '.join(unknown)} that can be set here.")
    with project.turn():
        for name, value in wanted.items():
            if name in _SETTERS:
                _SETTERS[name](project, value)
        if {SNAPSHOT_HOUR, SNAPSHOT_KEEP_SECONDS} & set(wanted):
            _reschedule(project, wanted)


def describe(project: NeonProject) -> Mapping[str, Any]:
    """Return the project, its branches, computes, roles and databases by name."""
    source = project.source()
    branch = f"/branches/{source.id}"
    return {
        "provider": "neon",
        "branch": source.id,
        "project": _some(project.get("", "project"), _OF_PROJECT),
        "branches": [_some(each.model_dump(mode="json"), _OF_BRANCH) for each in project.branches()],
        "computes": [_some(each, _OF_COMPUTE) for each in project.items("/endpoints", "endpoints")],
        "roles": [_some(each, ("name", "protected")) for each in project.items(f"{branch}/roles", "roles")],
        "databases": [
            _some(each, ("name", "owner_name")) for each in project.items(f"{branch}/databases", "databases")
        ],
        "backup_schedule": [each.model_dump(exclude_none=True) for each in _schedule(project, source.id)],
    }


def _keep_history(project: NeonProject, value: Value) -> None:
    seconds = min(int(value), LONGEST_HISTORY_SECONDS)
    project.change("PATCH", "", {"project": {"history_retention_seconds": seconds}})


def _protect(project: NeonProject, value: Value) -> None:
    project.change("PATCH", f"/branches/{project.source().id}", {"branch": {"protected": bool(value)}})


_SETTERS: Mapping[str, Callable[[NeonProject, Value], None]] = {HISTORY_SECONDS: _keep_history, PROTECTED: _protect}


def _reschedule(project: NeonProject, wanted: Mapping[str, Value]) -> None:
    source = project.source()
    present = _schedule(project, source.id)
    daily = _daily(present)
    kept = LONGEST_KEPT_SECONDS if daily is None or daily.retention_seconds is None else daily.retention_seconds
    line = Scheduled(
        frequency=_DAILY,
        hour=int(wanted.get(SNAPSHOT_HOUR, daily.hour or 0 if daily else 0)),
        retention_seconds=min(int(wanted.get(SNAPSHOT_KEEP_SECONDS, kept)), LONGEST_KEPT_SECONDS),
    )
    lines = [*(each for each in present if each.frequency != _DAILY), line]
    body = {"schedule": [each.model_dump(exclude_none=True) for each in lines]}
    project.change("PUT", f"/branches/{source.id}/backup_schedule", body)


def _schedule(project: NeonProject, branch_id: str) -> list[Scheduled]:
    return [read(Scheduled, each) for each in project.items(f"/branches/{branch_id}/backup_schedule", "schedule")]


def _daily(lines: Sequence[Scheduled]) -> Scheduled | None:
    return next((each for each in lines if each.frequency == _DAILY), None)


def _some(found: Document, names: Sequence[str]) -> Document:
    return {name: found[name] for name in names if found.get(name) is not None}
