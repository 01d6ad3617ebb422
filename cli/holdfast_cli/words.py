"""Sizes, ages, durations and states as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from holdfast.errors import BadRequest
from holdfast.model.points import Mechanism, PointState, RecoveryPoint

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
STATE_STYLES = {
    PointState.CAPTURING: "cyan",
    PointState.CAPTURED: "yellow",
    PointState.INTACT: "green",
    PointState.PROVEN: "bold green",
    PointState.FAILED: "bold red",
    PointState.EXPIRED: "dim",
}
STATE_MARKS = {
    PointState.CAPTURING: "…",
    PointState.CAPTURED: "○",
    PointState.INTACT: "●",
    PointState.PROVEN: "✔",
    PointState.FAILED: "✘",
    PointState.EXPIRED: "-",
}
LONGEST_REASON = 256
LONGEST_KEPT = 36_500
_DAYS = {"d": 1, "w": 7, "y": 365}


def check_reason(reason: str) -> None:
    """Raise `BadRequest` for a reason that the machines would refuse."""
    if len(reason) > LONGEST_REASON:
        raise BadRequest(f"A reason has at most {LONGEST_REASON} characters, not {len(reason)}.")


def days(text: str) -> int:
    """Return how many days *text* means: 90d, 12w or 2y; raises `BadRequest`."""
    found = re.fullmatch(r"(\d{1,5})\s*([dwy])", text.strip().lower())
    count = int(found[1]) * _DAYS[found[2]] if found else 0
    if not 1 <= count <= LONGEST_KEPT:
        raise BadRequest(f"{text!r} is no time to keep a point for.", hint="Say days, weeks or years: 90d, 12w, 2y.")
    return count


def size(count: float) -> str:
    """Return a size in decimal units with three digits that matter: 999 B, 1.23 GB, 45.6 MB."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    digits = 0 if unit == 0 or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {_UNITS[unit]}"


def number(count: int) -> str:
    """Return a count with thin groups of three digits, so that millions can be told from billions."""
    return f"{count:,}"


def counted(count: int, thing: str) -> str:
    """Return how many of a *thing* there are, whose plural ends in s."""
    return f"{number(count)} {thing}" if count == 1 else f"{number(count)} {thing}s"


def duration(seconds: float) -> str:
    """Return a duration in the two units that matter: 0.4 s, 12 s, 3 min 05 s, 2 h 10 min, 5 d 3 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def age(moment: datetime | None, now: datetime) -> str:
    """Return how long ago *moment* was; a dash when it never was."""
    if moment is None:
        return "-"
    passed = max(now - moment, timedelta()).total_seconds()
    return f"{duration(passed)} ago"


def clock(moment: datetime | None) -> str:
    """Return a moment in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment else "-"


def state(state: PointState) -> str:
    """Return the state as markup: a mark and a word, so that colour only repeats what is there."""
    return f"[{STATE_STYLES[state]}]{STATE_MARKS[state]} {state.value}[/]"


def kind(kind: str) -> str:
    """Return what a point of *kind* holds."""
    return {"schema": "schema: everything but rows", "data": "data: only rows, sequences and large objects"}.get(
        kind, kind
    )


def mechanism(point: RecoveryPoint) -> str:
    """Return how the point keeps its data."""
    if point.mechanism is Mechanism.HISTORY:
        return "history: the provider can restore this moment while it is in its window"
    if point.mechanism is Mechanism.SNAPSHOT:
        return f"snapshot: {point.provider_id}" + (", the provider's own" if point.adopted else "")
    return "archive" + (", the complete system" if point.system else "")


def protection(point: RecoveryPoint) -> str:
    """Return why the point is kept whatever its age, if it is."""
    return point.protected + (" (with a legal hold)" if point.legal_hold else "")


def second_region(point: RecoveryPoint) -> str:
    """Return where else the point lies, if it does."""
    if not point.second_region:
        return ""
    since = f" since {clock(point.second_at)}" if point.second_at else ", on its way"
    return f"{point.second_region}: {point.second_id or point.id}{since}"


def compression(point: RecoveryPoint) -> str:
    """Return how much smaller the stored bytes are than the rows as text."""
    return f"{point.bytes_plain / point.bytes_stored:.1f}x" if point.bytes_stored else "-"


def major(version: int) -> str:
    """Return a server's version as people write it, from PostgreSQL's number: 180003 is 18.3."""
    return f"{version // 10_000}.{version % 10_000}" if version else "-"
