"""What names, time zones and schedules must look like; each fault is the end of a sentence and has a remedy."""

from __future__ import annotations

import re
import zoneinfo
from difflib import get_close_matches

from pydantic import ValidationInfo

from holdfast.configuration.schedules import schedule_fault
from holdfast.model.patterns import schema_pattern, table_pattern
from holdfast.model.points import DATABASE_NAME

INTERNET = "internet"

# Names of functions are at most 64 characters long: <system>-<network>-<capability>-<function>.
_SHORT_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,18}[a-z0-9])?")
_SECRET = re.compile(r"[A-Za-z0-9/_+=.@:!-]{1,512}")
_PUBLIC_KEY = re.compile(r"\s*-----BEGIN PUBLIC KEY-----\s[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def system_name(value: str) -> str:
    """Return the system's name when it may be the prefix of what the system creates."""
    if not _SHORT_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name; use up to 20 of a-z, 0-9 and -, a letter first, no - last")
    return value


def network_name(value: str) -> str:
    """Return a network's name; `internet` is taken by functions outside any VPC."""
    if value == INTERNET:
        raise ValueError("'internet' is reserved for functions outside any VPC; choose another name")
    return system_name(value)


def database_name(value: str) -> str:
    """Return a database's or target's name when keys, ids and schedules may carry it."""
    if not DATABASE_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name; use up to 32 of a-z, 0-9 and -, a letter first, no - last")
    return value


def known_network(value: str, info: ValidationInfo) -> str:
    """Return the name of a network that the file defines; the reader gives the names as context."""
    context = info.context or {}
    known: list[str] | None = context.get("networks")
    if known is not None and value not in {*known, INTERNET}:
        raise ValueError(f"{value!r} is no network{suggestion(value, sorted({*known, INTERNET}))}")
    return value


def secret_name(value: str) -> str:
    """Return a secret's name or ARN."""
    if not _SECRET.fullmatch(value):
        raise ValueError("is not the name of a secret; use letters, digits and /_+=.@-")
    return value


def public_key(value: str) -> str:
    """Return a public key as PEM, as `public-key.pem` beside a manifest has it."""
    if not _PUBLIC_KEY.fullmatch(value):
        raise ValueError("is no public key; give the text of a public-key.pem, from its BEGIN line to its END line")
    return value


def variable_name(value: str) -> str:
    """Return the name of an environment variable; never echo what may be the connection URL itself."""
    if not _VARIABLE.fullmatch(value):
        raise ValueError("is not the name of an environment variable; give its name, not the URL itself")
    return value


def is_time_zone(value: str) -> bool:
    """Answer whether the time zone exists; a system without time zone data believes every name."""
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return not zoneinfo.available_timezones()
    return True


def time_zone(value: str) -> str:
    """Return the name of a time zone of the IANA database."""
    if not is_time_zone(value):
        known = sorted(zoneinfo.available_timezones())
        raise ValueError(f"{value!r} is no time zone{suggestion(value, known, otherwise='for example Europe/Berlin')}")
    return value


def schedule(value: str) -> str:
    """Return a schedule expression that EventBridge Scheduler accepts."""
    fault = schedule_fault(value)
    if fault:
        raise ValueError(f"{value!r} {fault}")
    return value


def schemas(value: str) -> str:
    """Return a pattern of schemas."""
    schema_pattern(value)
    return value


def tables(value: str) -> str:
    """Return a pattern of tables."""
    table_pattern(value)
    return value


def as_text(value: object) -> object:
    """Return a truth or number as PostgreSQL prints it, so that `expect = true` means what it says."""
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value) if isinstance(value, int | float) else value


def suggestion(value: str, known: list[str], *, otherwise: str = "") -> str:
    """Return the end of a sentence that names what *value* may have meant, or all that is *known*."""
    close = get_close_matches(value, known, n=1, cutoff=0.7)
    if close:
        return f"; did you mean {close[0]!r}?"
    listed = otherwise or ("known are " + ", ".join(known) if known else "")
    return f"; {listed}" if listed else ""
