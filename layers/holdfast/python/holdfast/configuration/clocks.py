"""
When a schedule runs, and on which days clocks keep it from running.

EventBridge Scheduler leaves a run out whose local time does not exist, on the day when clocks go forward, and does not
repeat one whose local time comes twice (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html).
A daily backup that is left out once a year leaves 47 hours without a point.
"""

from __future__ import annotations

import zoneinfo
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import product

from holdfast.configuration.schedules import cron_fields, values_of

YEARS = range(2026, 2038)
"""Clocks are changed by rules that repeat; those of twelve years show every day of the week and month."""
_DAY = timedelta(days=1)
_NOON = 12
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


def left_out(expression: str, zone: str) -> date | None:
    """Return the first day on which a cron *expression* ought to run, but no time of it exists in *zone*."""
    fields = cron_fields(expression)
    if fields is None or zone == "UTC":
        return None
    return next((day for day in _days_of_change(zone) if _due(fields, day) and not _times(fields, day, zone)), None)


def runs(expression: str, zone: str, first: date, last: date) -> Iterator[datetime]:
    """Yield when a cron *expression* runs in *zone* on the days from *first* to *last*, in UTC."""
    fields = cron_fields(expression)
    if fields is None:
        raise ValueError(f"{expression} is no cron expression")
    day = first
    while day <= last:
        if _due(fields, day):
            yield from _times(fields, day, zone)
        day += _DAY


def _times(fields: list[str], day: date, zone: str) -> list[datetime]:
    """Return the times of one day that exist, each once: of two that look alike, the first."""
    place = zoneinfo.ZoneInfo(zone)
    found = []
    for hour, minute in product(values_of(1, fields[1]), values_of(0, fields[0])):
        local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=place)
        moment = local.astimezone(UTC)
        if moment.astimezone(place).replace(tzinfo=None) == local.replace(tzinfo=None):
            found.append(moment)
    return sorted(found)


@lru_cache(maxsize=64)
def _days_of_change(zone: str) -> tuple[date, ...]:
    """Return the days on which clocks go forward; none that is known where a system has no data of time zones."""
    try:
        place, found = zoneinfo.ZoneInfo(zone), list[date]()
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return ()
    day, former = date(YEARS[0], 1, 1), None
    while day.year <= YEARS[-1]:
        offset = datetime(day.year, day.month, day.day, _NOON, tzinfo=place).utcoffset()
        if former is not None and offset is not None and offset > former:
            found.append(day)
        day, former = day + _DAY, offset
    return tuple(found)


def _due(fields: list[str], day: date) -> bool:
    """Answer whether the fields of days, month and year name *day*."""
    if day.month not in values_of(3, fields[3]) or day.year not in values_of(5, fields[5]):
        return False
    if fields[2] != "?":
        return any(_is_day_of_month(part, day) for part in fields[2].split(","))
    return any(_is_weekday(part, day) for part in fields[4].split(","))


def _is_day_of_month(part: str, day: date) -> bool:
    last = monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.endswith("W"):
        return day == _nearest_weekday(day, last if part == "LW" else int(part[:-1]), last)
    return day.day in values_of(2, part)


def _nearest_weekday(day: date, wanted: int, last: int) -> date:
    """Return the working day nearest to a day of the month, within the month."""
    found = day.replace(day=min(wanted, last))
    shift = {5: -1, 6: 1}.get(found.weekday(), 0)
    if shift and (found + shift * _DAY).month != found.month:
        shift = 2 if shift < 0 else -2
    return found + shift * _DAY


def _is_weekday(part: str, day: date) -> bool:
    number = day.isoweekday() % 7 + 1
    if part == "L":
        return number == len(_WEEKDAYS)
    name, nth, count = part.partition("#")
    if nth:
        return number in values_of(4, name) and (day.day - 1) // 7 + 1 == int(count)
    if part.endswith("L"):
        return number in values_of(4, part[:-1]) and day.day + 7 > monthrange(day.year, day.month)[1]
    return number in values_of(4, part)
