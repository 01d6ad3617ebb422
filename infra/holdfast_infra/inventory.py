"""
Which functions there are, and what each may touch.

This table is the one place where a function's rights are decided; the constructs carry it out. A function
gets what it needs for its own step and nothing for the steps beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from holdfast.settings import (
    CatalogueSettings,
    CopySettings,
    RebuildSettings,
    RestoreSettings,
    SealSettings,
    Settings,
    VerifySettings,
)


class Access(Enum):
    """One thing that a function may do; `holdfast_infra.access` says with which actions, on which resources."""

    SOURCE_SECRETS = auto()
    ALL_SECRETS = auto()
    PROVIDER_KEYS = auto()
    SEE_PROVIDERS = auto()
    TAKE_SNAPSHOTS = auto()
    DELETE_SNAPSHOTS = auto()
    COPIED_SECRETS = auto()
    MAKE_COPIES = auto()
    REMOVE_COPIES = auto()
    SEE_COPY_SECRETS = auto()
    READ_CATALOGUE = auto()
    WRITE_CATALOGUE = auto()
    READ_ARCHIVE = auto()
    LIST_VERSIONS = auto()
    READ_REPLICA = auto()
    LIST_REPLICA = auto()
    WRITE_CHUNKS = auto()
    WITHDRAW_CHUNKS = auto()
    WITHDRAW_VERIFICATIONS = auto()
    REMOVE_CHUNKS = auto()
    REMOVE_POINTS = auto()
    REMOVE_REPLICA_CHUNKS = auto()
    REMOVE_REPLICA_POINTS = auto()
    WRITE_POINTS = auto()
    WRITE_RECEIPTS = auto()
    WRITE_DELETIONS = auto()
    WRITE_PROTECTIONS = auto()
    HOLD = auto()
    HOLD_REPLICA = auto()
    WRITE_SCRATCH = auto()
    SIGN = auto()
    READ_PUBLIC_KEY = auto()
    DERIVE_DIGEST_KEYS = auto()
    ANSWER_TASKS = auto()
    SEE_BACKUPS = auto()
    SEE_CAPTURES = auto()
    SEE_RESTORES = auto()


REPLICA = frozenset(
    {Access.READ_REPLICA, Access.REMOVE_REPLICA_CHUNKS, Access.REMOVE_REPLICA_POINTS, Access.HOLD_REPLICA}
)
"""What concerns the archive's copy in the second region; it gives nothing where there is no such region."""
REPLICA_BUCKET = Settings.variable("replica_bucket")


@dataclass(frozen=True, kw_only=True)
class FunctionPlan:
    """
    One function: `functions/<capability>/<name>.py`.

    *seconds* bounds its time beside the configured limit. *heavy* ones move rows and get more memory, which also
    gives them more of a CPU. *asynchronous* ones are invoked as events: the state machine sees them fail by
    their silence.
    """

    capability: str
    name: str
    settings: type[Settings]
    access: frozenset[Access]
    seconds: int = 900
    heavy: bool = False
    asynchronous: bool = False

    @property
    def path(self) -> str:
        """Return its name as people write it: `snapshot.start`."""
        return f"{self.capability}.{self.name}"

    @property
    def substitution(self) -> str:
        """Return what the ASL files call the function: `SnapshotStart`."""
        return f"{self.capability.capitalize()}{self.name.capitalize()}"

    @property
    def scratch(self) -> str:
        """Return the one folder of the scratch bucket that it reads and writes: its workflow's."""
        folders = {"snapshot": "backup", "retention": self.name}
        return folders.get(self.capability, self.capability)

    @property
    def variables(self) -> frozenset[str]:
        """Return the variables that it reads: what its settings require, and the replica if it looks at that."""
        return self.settings.required() | ({REPLICA_BUCKET} if self.access & REPLICA else frozenset())

    @property
    def touches_databases(self) -> bool:
        """Whether it connects to a PostgreSQL server, and so needs its secret, its network and our client programs."""
        return bool(self.access & {Access.SOURCE_SECRETS, Access.ALL_SECRETS})


def _plan(
    path: str, settings: type[Settings], *access: Access, seconds: int = 900, heavy: bool = False, events: bool = False
) -> FunctionPlan:
    capability, name = path.split(".")
    return FunctionPlan(
        capability=capability,
        name=name,
        settings=settings,
        access=frozenset(access),
        seconds=seconds,
        heavy=heavy,
        asynchronous=events,
    )


_A = Access
_SNAPSHOT = (
    _plan("snapshot.start", CatalogueSettings, _A.SOURCE_SECRETS, _A.WRITE_CATALOGUE, _A.SEE_BACKUPS, seconds=300),
    _plan(
        "snapshot.hold",
        CatalogueSettings,
        *(_A.SOURCE_SECRETS, _A.WRITE_CATALOGUE, _A.ANSWER_TASKS, _A.SEE_BACKUPS),
        events=True,
    ),
    _plan("snapshot.plan", CopySettings, _A.SOURCE_SECRETS, _A.READ_CATALOGUE, _A.WRITE_SCRATCH),
    _plan(
        "snapshot.dump",
        CopySettings,
        *(_A.SOURCE_SECRETS, _A.READ_CATALOGUE, _A.READ_ARCHIVE, _A.WRITE_CHUNKS, _A.WRITE_POINTS, _A.WRITE_SCRATCH),
        heavy=True,
    ),
    _plan(
        "snapshot.seal",
        SealSettings,
        *(_A.SOURCE_SECRETS, _A.WRITE_CATALOGUE, _A.READ_ARCHIVE, _A.WRITE_POINTS, _A.WRITE_SCRATCH),
        *(_A.SIGN, _A.READ_PUBLIC_KEY),
    ),
    _plan("snapshot.fail", CatalogueSettings, _A.SOURCE_SECRETS, _A.WRITE_CATALOGUE, seconds=120),
)
_CAPTURE = (
    _plan(
        "snapshot.capture",
        CatalogueSettings,
        *(_A.PROVIDER_KEYS, _A.SEE_PROVIDERS, _A.TAKE_SNAPSHOTS, _A.WRITE_CATALOGUE, _A.SEE_CAPTURES),
        seconds=300,
    ),
    _plan("snapshot.abandon", CatalogueSettings, _A.WRITE_CATALOGUE, seconds=120),
)
_FREEZE = (
    _plan(
        "snapshot.freeze",
        CatalogueSettings,
        *(_A.COPIED_SECRETS, _A.PROVIDER_KEYS, _A.SEE_PROVIDERS, _A.MAKE_COPIES, _A.WRITE_CATALOGUE),
        seconds=300,
    ),
    _plan(
        "snapshot.thaw",
        CatalogueSettings,
        *(_A.PROVIDER_KEYS, _A.SEE_PROVIDERS, _A.REMOVE_COPIES, _A.WRITE_CATALOGUE),
        seconds=300,
    ),
)
_SWEEP = (
    _plan(
        "retention.sweep",
        CatalogueSettings,
        *(_A.PROVIDER_KEYS, _A.SEE_PROVIDERS, _A.REMOVE_COPIES, _A.SEE_COPY_SECRETS),
        *(_A.WRITE_CATALOGUE, _A.SEE_BACKUPS),
    ),
)
_READ_BACK = (_A.READ_ARCHIVE, _A.WRITE_SCRATCH)
_VERIFY = (
    _plan("verify.plan", VerifySettings, *_READ_BACK, _A.WRITE_CATALOGUE, _A.READ_PUBLIC_KEY),
    _plan("verify.check", VerifySettings, *_READ_BACK, _A.WITHDRAW_CHUNKS, _A.DERIVE_DIGEST_KEYS, heavy=True),
    _plan(
        "verify.conclude",
        VerifySettings,
        *(
            *_READ_BACK,
            _A.WRITE_CATALOGUE,
            _A.WRITE_POINTS,
            _A.WITHDRAW_VERIFICATIONS,
            _A.READ_PUBLIC_KEY,
            _A.DERIVE_DIGEST_KEYS,
        ),
    ),
)
_RETENTION = (
    _plan(
        "retention.collect",
        CopySettings,
        *(_A.WRITE_CATALOGUE, _A.READ_ARCHIVE, _A.REMOVE_CHUNKS, _A.REMOVE_REPLICA_CHUNKS, _A.WRITE_RECEIPTS),
        *(_A.WRITE_SCRATCH, _A.SEE_BACKUPS),
    ),
    _plan(
        "retention.prune",
        CopySettings,
        *(_A.WRITE_CATALOGUE, _A.REMOVE_POINTS, _A.REMOVE_REPLICA_POINTS, _A.WRITE_DELETIONS, _A.WRITE_SCRATCH),
        *(_A.PROVIDER_KEYS, _A.SEE_PROVIDERS, _A.DELETE_SNAPSHOTS, _A.SEE_BACKUPS, _A.SEE_CAPTURES, _A.SEE_RESTORES),
    ),
)
_PROTECTION = (
    _plan(
        "retention.protect",
        CopySettings,
        *(_A.WRITE_CATALOGUE, _A.READ_ARCHIVE, _A.LIST_VERSIONS, _A.HOLD, _A.HOLD_REPLICA, _A.WRITE_PROTECTIONS),
        *(_A.WRITE_SCRATCH, _A.SEE_BACKUPS),
    ),
)
_STEP = (_A.ALL_SECRETS, *_READ_BACK)
_RESTORE = (
    _plan(
        "restore.assess",
        RestoreSettings,
        *(*_STEP, _A.LIST_VERSIONS, _A.WRITE_CATALOGUE, _A.READ_PUBLIC_KEY, _A.DERIVE_DIGEST_KEYS, _A.SEE_RESTORES),
        seconds=600,
    ),
    _plan("restore.prepare", RestoreSettings, *_STEP),
    _plan("restore.load", RestoreSettings, *_STEP, heavy=True),
    _plan("restore.finish", RestoreSettings, *_STEP),
    _plan("restore.prove", RestoreSettings, *_STEP, _A.DERIVE_DIGEST_KEYS, heavy=True),
    _plan("restore.compare", RestoreSettings, *_STEP),
    _plan("restore.validate", RestoreSettings, *_STEP),
    # It looks for another point that is whole where the one that was restored is damaged.
    _plan(
        "restore.report",
        RestoreSettings,
        *(*_READ_BACK, _A.LIST_VERSIONS, _A.WRITE_CATALOGUE, _A.READ_PUBLIC_KEY),
        seconds=300,
    ),
)

_MONITOR = (
    _plan(
        "monitor.replication",
        SealSettings,
        *(_A.WRITE_CATALOGUE, _A.READ_ARCHIVE, _A.READ_REPLICA, _A.LIST_REPLICA, _A.READ_PUBLIC_KEY),
    ),
)
_CATALOGUE = (
    _plan(
        "catalogue.rebuild",
        RebuildSettings,
        *(_A.WRITE_CATALOGUE, _A.READ_ARCHIVE, _A.LIST_VERSIONS, _A.READ_PUBLIC_KEY, _A.DERIVE_DIGEST_KEYS),
    ),
)

ONCE: tuple[FunctionPlan, ...] = (
    _VERIFY + _RETENTION + _PROTECTION + _CAPTURE + _FREEZE + _SWEEP + _CATALOGUE + _MONITOR
)
"""Functions that touch buckets, the catalogue and providers' APIs only; they exist once, outside any VPC."""

PER_NETWORK: tuple[FunctionPlan, ...] = _SNAPSHOT + _RESTORE
"""Functions of which each network has its own."""

WORKFLOWS: Mapping[str, tuple[FunctionPlan, ...]] = {
    "backup": _SNAPSHOT + _FREEZE,
    "verify": _VERIFY,
    "collect": _RETENTION[:1],
    "prune": _RETENTION[1:],
    "protect": _PROTECTION,
    "capture": _CAPTURE,
    "sweep": _SWEEP,
    "rebuild": _CATALOGUE,
    "replication": _MONITOR,
    "restore": _RESTORE,
}
"""The functions that each state machine invokes."""


def with_access(access: Access) -> tuple[FunctionPlan, ...]:
    """Return the functions that have *access*."""
    return tuple(plan for plan in (*PER_NETWORK, *ONCE) if access in plan.access)
