"""
Schedule expressions of EventBridge Scheduler, checked before anything is deployed.

`cron(minutes hours day-of-month month day-of-week year)` and `rate(value unit)`, as the Scheduler's user
guide defines them. One of the two days must be `?`, since the service refuses both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_RATE = re.compile(r"rate\(([1-9]\d*) (minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\((.*)\)")


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a cron expression: its name, range, names of values and the wildcards of its own."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    special: str = ""


_FIELDS = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day of month", 1, 31, special=r"\?|L|LW|(?:[1-9]|[12]\d|3[01])W"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 1, 7, _DAYS, special=r"\?|L|(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(?:L|#[1-5])"),
    _Field("year", 1970, 2199),
)


def schedule_fault(expression: str) -> str | None:
    """Return what is wrong with a schedule *expression* as the end of a sentence, or nothing."""
    if _RATE.fullmatch(expression):
        return None
    if expression.startswith("rate("):
        return "is no rate; write for example rate(1 hour) or rate(15 minutes)"
    found = _CRON.fullmatch(expression)
    if not found:
        return "is no schedule; write cron(minutes hours day-of-month month day-of-week year) or rate(1 hour)"
    return _cron_fault(found[1].split())


def cron_fields(expression: str) -> list[str] | None:
    """Return the six fields of a valid cron *expression*, in capitals; nothing for a rate, which knows no clock."""
    found = _CRON.fullmatch(expression)
    return found[1].upper().split() if found else None


def values_of(position: int, text: str) -> frozenset[int]:
    """Return the values that the field at *position* stands for; days have specials of their own beside them."""
    field, found = _FIELDS[position], set[int]()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        low = field.first if span == "*" else _number(field, first)
        high = field.last if span == "*" or (step and not dash) else _number(field, last if dash else first)
        if low is not None and high is not None:
            found |= set(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _cron_fault(values: list[str]) -> str | None:
    """Return what is wrong with the fields of a cron expression, or nothing."""
    if len(values) != len(_FIELDS):
        return (
            f"has {len(values)} fields; cron takes six: minutes hours day-of-month month day-of-week year, "
            "for example cron(0 2 * * ? *)"
        )
    for field, value in zip(_FIELDS, values, strict=True):
        if not all(_fits(field, part) for part in value.upper().split(",")):
            return f"has {value!r} where {field.name} is expected ({field.first} to {field.last})"
    if (values[2] == "?") == (values[4] == "?"):
        return "must have ? as either the day of the month or the day of the week, and not as both"
    return None


def _fits(field: _Field, part: str) -> bool:
    """Answer whether *part* (between commas) is a value, range or step of *field*."""
    if field.special and re.fullmatch(field.special, part):
        return True
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    low, high = _number(field, first), _number(field, last if dash else first)
    return low is not None and high is not None and low <= high


def _number(field: _Field, text: str) -> int | None:
    """Return the value that *text* stands for in *field*, or nothing when it is none."""
    if text in field.names:
        return field.names.index(text) + field.first
    if not (text.isascii() and text.isdigit()) or not field.first <= int(text) <= field.last:
        return None
    return int(text)
