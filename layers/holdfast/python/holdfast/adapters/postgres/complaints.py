"""Understand what PostgreSQL's programs say on standard error."""

from __future__ import annotations

import re
from collections.abc import Iterable

from holdfast.adapters.postgres.translation import from_libpq, from_sqlstate
from holdfast.errors import (
    DatabaseBusy,
    DatabaseUnreachable,
    HoldfastError,
    PrivilegeMissing,
    ProgramFailed,
    ServerTooNew,
    SnapshotNotReady,
    SourceDiskFull,
)

_SQLSTATE = re.compile(r"(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5})(?::|\s*$)", re.MULTILINE)
_CONNECTION = re.compile(r"connection to server|could not translate host|could not connect", re.IGNORECASE)
_NOT_MADE = re.compile(r"connection to server (at|on) .* failed: ")
_HINTS: dict[type[HoldfastError], str] = {
    PrivilegeMissing: "Grant the missing privilege to the role that connects; where rows are hidden from it by row "
    "security, BYPASSRLS.",
}
# These lines may quote rows, statements or secrets.
_SILENCED = re.compile(
    r"^\s*(DETAIL|CONTEXT|HINT|STATEMENT|LINE \d+|QUERY|Command was|.*detail: Query was)\b", re.IGNORECASE
)
_QUOTED_VALUE = re.compile(r':\s*".*"\s*$')
_URL = re.compile(r"\w+://\S+")

_KNOWN: tuple[tuple[type[HoldfastError], str], ...] = (
    (ServerTooNew, r"server version mismatch"),
    (SourceDiskFull, r"ERROR: .*(No space left on device|Disk quota exceeded)"),
    (
        SnapshotNotReady,
        r"invalid snapshot identifier|snapshot .* does not exist|could not import the requested snapshot",
    ),
    (
        DatabaseBusy,
        r"due to (lock timeout|statement timeout|user request)|too many clients|remaining connection slots"
        r"|conflict with recovery|deadlock detected",
    ),
    (
        DatabaseUnreachable,
        r"server closed the connection|terminating connection|connection to server was lost"
        r"|no connection to the server",
    ),
    (PrivilegeMissing, r"row-level security|permission denied|must be owner|must be superuser"),
)


def complaint(
    program: str, status: int, text: str, *, at: str = "", doing: str = "", secrets: Iterable[str] = ()
) -> HoldfastError:
    """
    Return the error for a program that exited with *status* and said *text*.

    psql is asked for codes instead of sentences (`VERBOSITY=sqlstate`) wherever rows are near, so that its
    text can hold none; what the other programs say is cut down to their own sentences.
    """
    if found := _SQLSTATE.search(text):
        return from_sqlstate(found[1], doing=doing, at=at)
    if _NOT_MADE.search(text):
        return from_libpq(text, at=at, doing=doing)
    while_ = f" while {doing}" if doing else ""
    said = cleansed(text, secrets)
    for kind, pattern in _KNOWN:
        if re.search(pattern, text):
            return kind(f"{program} failed{while_}: {said}", hint=_HINTS.get(kind))
    if _CONNECTION.search(text):
        return from_libpq(text, at=at, doing=doing)
    if status < 0:
        # The rest of the function lives, so it was the program that was in the way: it may do better alone.
        return DatabaseBusy(
            f"{program} was killed by signal {-status}{while_}.",
            hint="It may have run out of memory; Holdfast tries again by itself.",
        )
    return ProgramFailed(f"{program} exited with status {status}{while_}: {said or 'it said nothing.'}")


def cleansed(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the last sentences of *text* without rows, statements, URLs and *secrets*, at most 400 characters."""
    lines = [_QUOTED_VALUE.sub("", line).strip() for line in text.splitlines() if not _SILENCED.match(line)]
    kept = " | ".join(line for line in lines if line)
    for secret in secrets:
        kept = kept.replace(secret, "***")
    return _URL.sub("***", kept)[-400:]
