"""The settings of RDS that recovery depends on, between RDS's words and ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from holdfast.adapters.aws.rds.database import Elsewhere
from holdfast.adapters.aws.rds.saying import Document
from holdfast.errors import BadRequest
from holdfast.model.provider_settings import (
    BACKUP_WINDOW,
    COPY_TAGS,
    ENCRYPTED,
    HISTORY_SECONDS,
    MAINTENANCE_WINDOW,
    PROTECTED,
    REPLICATED_TO,
    Setting,
    Value,
)

_DAY = timedelta(days=1).total_seconds()
_SETTABLE: Mapping[str, tuple[str, Callable[[Value], Any]]] = {
    PROTECTED: ("DeletionProtection", bool),
    HISTORY_SECONDS: ("BackupRetentionPeriod", lambda value: -(-int(value) // int(_DAY))),
    BACKUP_WINDOW: ("PreferredBackupWindow", str),
    COPY_TAGS: ("CopyTagsToSnapshot", bool),
}


def of_instance(found: Document) -> tuple[Setting, ...]:
    """Return the settings of an instance."""
    replicas = found.get("DBInstanceAutomatedBackupsReplications", ())
    regions = [str(each["DBInstanceAutomatedBackupsArn"]).split(":")[3] for each in replicas]
    return (*of_cluster(found), Setting(REPLICATED_TO, ", ".join(sorted(regions))))


def of_cluster(found: Document) -> tuple[Setting, ...]:
    """Return the settings of a cluster; those of an instance have the same names."""
    return (
        Setting(ENCRYPTED, bool(found.get("StorageEncrypted"))),
        Setting(PROTECTED, bool(found.get("DeletionProtection"))),
        Setting(HISTORY_SECONDS, int(found.get("BackupRetentionPeriod", 0)) * int(_DAY)),
        Setting(BACKUP_WINDOW, str(found.get("PreferredBackupWindow", ""))),
        Setting(MAINTENANCE_WINDOW, str(found.get("PreferredMaintenanceWindow", ""))),
        Setting(COPY_TAGS, bool(found.get("CopyTagsToSnapshot"))),
    )


def to_set(changes: Iterable[Setting], *, beside: Iterable[str] = (REPLICATED_TO,)) -> dict[str, Any]:
    """Return the arguments of RDS's change; settings *beside* them are set by another call."""
    arguments: dict[str, Any] = {}
    for each in changes:
        if each.name in _SETTABLE:
            name, meaning = _SETTABLE[each.name]
            arguments[name] = meaning(each.value)
        elif each.name not in beside:
            raise BadRequest(f"RDS has no setting {each.name} that can be set here.")
    return arguments


def replicating(changes: Iterable[Setting], second: Elsewhere | None) -> Elsewhere | None:
    """Return the second region if backups are to be replicated there; raises `BadRequest` for any other."""
    wanted = [str(each.value) for each in changes if each.name == REPLICATED_TO]
    if not wanted:
        return None
    if second is None or wanted[-1] != second.client.meta.region_name:
        raise BadRequest(f"Backups are replicated to the second region only, not to {wanted[-1]}.")
    return second
