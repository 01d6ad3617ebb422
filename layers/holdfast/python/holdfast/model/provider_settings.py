"""
Judge how a provider is set up to keep a database: each setting against what its tiers need.

A setting that a provider does not have is not among the facts, and is not judged. What can be set is offered as a
change; what cannot (encryption, the limits of a plan) has a remedy in words alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

Value = bool | int | str

ENCRYPTED = "encrypted"
PROTECTED = "protected"
"""Against deletion: RDS's deletion protection, Neon's protected branch."""
HISTORY_SECONDS = "history_seconds"
BACKUP_WINDOW = "backup_window"
MAINTENANCE_WINDOW = "maintenance_window"
REPLICATED_TO = "backups_replicated_to"
"""The region that automated backups are replicated to; empty for none."""
COPY_TAGS = "copy_tags_to_snapshots"
SNAPSHOT_HOUR = "daily_snapshot_hour"
"""Of a schedule of the provider's, in UTC; -1 for none."""
SNAPSHOT_KEEP_SECONDS = "daily_snapshot_keep_seconds"
ROOT_BRANCHES = "root_branches"
MOST_ROOT_BRANCHES = "most_root_branches"

NEVER = -1
LONGEST_HISTORY = timedelta(days=35)
LONGEST_SCHEDULED = timedelta(seconds=3_024_000)
"""What RDS keeps history, and Neon its scheduled snapshots, at most."""
_DAY_MINUTES = 24 * 60
_WINDOW_MINUTES = 30


class Standing(StrEnum):
    """How a setting stands: *bad* ones let recovery fail, *weak* ones make it slower, dearer or less certain."""

    GOOD = "good"
    WEAK = "weak"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a provider."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a setting means for recovery, in a sentence; *change* is what mends it, where that can be set."""

    setting: Setting
    standing: Standing
    sentence: str
    remedy: str = ""
    change: Setting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What a database's tiers need of its provider.

    *history* is how far back the point-in-time recovery must reach; *snapshot_keep* how long the provider's daily
    snapshots, taken at *snapshot_hour* (UTC), are kept, nothing when no tier rests on them. *quiet* are the minutes
    of the day, in UTC, between which a backup disturbs nobody; the second may lie on the next day.
    """

    history: timedelta
    second_region: str = ""
    snapshot_hour: int = 2
    snapshot_keep: timedelta | None = None
    quiet: tuple[int, int] = (20 * 60, 6 * 60)


@dataclass(frozen=True, slots=True)
class _Case:
    value: Value
    wanted: Wanted
    facts: Mapping[str, Value]


_Answer = tuple[Standing, str, str, Value | None]
"""Standing, sentence, remedy and the value to set."""


def judge(facts: Iterable[Setting], wanted: Wanted) -> tuple[Judgement, ...]:
    """Return a judgement of each setting that recovery depends on, in the order of *facts*."""
    settings = tuple(facts)
    known = {each.name: each.value for each in settings}
    return tuple(_judged(settings, known, wanted))


def changes(judgements: Iterable[Judgement]) -> tuple[Setting, ...]:
    """Return what has to be set for all judgements to be good, as far as it can be set."""
    return tuple(each.change for each in judgements if each.change is not None)


def _judged(settings: Iterable[Setting], known: Mapping[str, Value], wanted: Wanted) -> Iterator[Judgement]:
    for setting in settings:
        if (judging := _JUDGES.get(setting.name)) is None:
            continue
        standing, sentence, remedy, value = judging(_Case(setting.value, wanted, known))
        yield Judgement(
            setting=setting,
            standing=standing,
            sentence=sentence,
            remedy=remedy,
            change=None if value is None else Setting(setting.name, value),
        )


def _encryption(case: _Case) -> _Answer:
    if case.value:
        return Standing.GOOD, "Storage, backups and snapshots are encrypted.", "", None
    remedy = "Copy a snapshot with a key, restore that copy, and move the application to it."
    return Standing.BAD, "Storage is not encrypted, so its snapshots never count.", remedy, None


def _protection(case: _Case) -> _Answer:
    if case.value:
        return Standing.GOOD, "It is protected against deletion.", "", None
    return Standing.BAD, "Anybody with the key can delete it at once.", "Protect it against deletion.", True


def _history(case: _Case) -> _Answer:
    kept = timedelta(seconds=int(case.value))
    needed = min(case.wanted.history, LONGEST_HISTORY)
    if needed <= timedelta(0):
        return Standing.GOOD, f"History reaches back {_told(kept)}; no tier rests on it.", "", None
    if kept >= needed:
        return Standing.GOOD, f"History reaches back {_told(kept)}, and {_told(needed)} are needed.", "", None
    remedy = f"Keep history for {_told(needed)}."
    seconds = int(needed.total_seconds())
    if not kept:
        remedy += " On RDS, switching backups on pauses the database for a moment."
        return Standing.BAD, "History is switched off: no moment can be restored.", remedy, seconds
    return Standing.BAD, f"History reaches back {_told(kept)} only; {_told(needed)} are needed.", remedy, seconds


def _backup_window(case: _Case) -> _Answer:
    window = str(case.value)
    if _within(_minutes(window), case.wanted.quiet):
        return Standing.GOOD, f"Backups are made at {window} UTC, when it is quiet.", "", None
    better = _quiet_window(case)
    quiet = "-".join(_clock(each) for each in case.wanted.quiet)
    sentence = f"Backups are made at {window} UTC; it is quiet at {quiet} UTC."
    return Standing.WEAK, sentence, f"Move the backup window to {better} UTC.", better


def _replication(case: _Case) -> _Answer:
    region, wanted = str(case.value), case.wanted.second_region
    if not wanted:
        told = f"Backups are replicated to {region}." if region else "No second region is configured."
        return Standing.GOOD, told, "", None
    if region == wanted:
        return Standing.GOOD, f"Backups are replicated to {region}: moments can be restored there, too.", "", None
    where = f"to {region}, not to {wanted}" if region else "to no other region"
    sentence = f"Backups are replicated {where}: if this region is lost, only copied snapshots remain."
    return Standing.WEAK, sentence, f"Replicate automated backups to {wanted}.", wanted


def _tags(case: _Case) -> _Answer:
    if case.value:
        return Standing.GOOD, "Snapshots bear the tags of the database.", "", None
    return Standing.WEAK, "Snapshots do not tell whose they are.", "Copy tags to snapshots.", True


def _snapshot_hour(case: _Case) -> _Answer:
    if case.wanted.snapshot_keep is None:
        return Standing.GOOD, "No tier rests on the provider's daily snapshots.", "", None
    hour, wanted = int(case.value), case.wanted.snapshot_hour
    if hour == wanted:
        return Standing.GOOD, f"The provider takes a snapshot each day at {wanted:02d}:00 UTC.", "", None
    now = "takes no daily snapshot" if hour == NEVER else f"takes its daily snapshot at {hour:02d}:00 UTC"
    standing = Standing.BAD if hour == NEVER else Standing.WEAK
    return standing, f"The provider {now}.", f"Schedule one for {wanted:02d}:00 UTC.", wanted


def _snapshot_keep(case: _Case) -> _Answer:
    if case.wanted.snapshot_keep is None:
        return Standing.GOOD, "No tier rests on the provider's daily snapshots.", "", None
    kept, needed = timedelta(seconds=int(case.value)), min(case.wanted.snapshot_keep, LONGEST_SCHEDULED)
    if kept >= needed:
        return Standing.GOOD, f"Daily snapshots are kept for {_told(kept)}.", "", None
    sentence = f"Daily snapshots are kept for {_told(kept)}; {_told(needed)} are needed."
    return Standing.BAD, sentence, f"Keep them for {_told(needed)}.", int(needed.total_seconds())


def _root_branches(case: _Case) -> _Answer:
    used, most = int(case.value), int(case.facts.get(MOST_ROOT_BRANCHES, 0))
    told = f"{used} of {most} root branches are in use"
    if used < most:
        return Standing.GOOD, f"{told}; a restore in place takes one more.", "", None
    remedy = "Delete a preserved branch that is no longer needed, or take a larger plan."
    return Standing.BAD, f"{told}: a restore in place would be refused.", remedy, None


_JUDGES: Mapping[str, Callable[[_Case], _Answer]] = {
    ENCRYPTED: _encryption,
    PROTECTED: _protection,
    HISTORY_SECONDS: _history,
    BACKUP_WINDOW: _backup_window,
    REPLICATED_TO: _replication,
    COPY_TAGS: _tags,
    SNAPSHOT_HOUR: _snapshot_hour,
    SNAPSHOT_KEEP_SECONDS: _snapshot_keep,
    ROOT_BRANCHES: _root_branches,
}


def _told(span: timedelta) -> str:
    """Return a span in the largest unit that it fills."""
    for name, unit in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        if span >= unit and not span % unit:
            count = span // unit
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return f"{span.total_seconds():.0f} seconds"


def _minutes(window: str) -> tuple[int, int]:
    """Return the minutes of the day that `22:00-22:30` stands for; `sun:22:00-sun:22:30` counts for each day."""
    ends = [part[-5:] for part in window.split("-")]
    begin, end = (int(each[:2]) * 60 + int(each[3:]) for each in ends)
    return begin, end


def _within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    """Answer whether a span of the day lies in another; either may go past midnight."""
    length = (outer[1] - outer[0]) % _DAY_MINUTES or _DAY_MINUTES
    begin = (inner[0] - outer[0]) % _DAY_MINUTES
    return begin + (inner[1] - inner[0]) % _DAY_MINUTES <= length


def _quiet_window(case: _Case) -> str:
    """Return the first half hour of quiet that does not meet the maintenance window, which RDS would refuse."""
    begin = case.wanted.quiet[0]
    maintenance = case.facts.get(MAINTENANCE_WINDOW)
    if maintenance:
        busy = _minutes(str(maintenance))
        length = (busy[1] - busy[0]) % _DAY_MINUTES
        before = (busy[0] - begin) % _DAY_MINUTES
        since = (begin - busy[0]) % _DAY_MINUTES
        if before < _WINDOW_MINUTES or since < length:
            begin = busy[1]
    return f"{_clock(begin)}-{_clock(begin + _WINDOW_MINUTES)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
