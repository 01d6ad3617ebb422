"""What a database's tiers need of how its provider is set up."""

from __future__ import annotations

import re
from datetime import timedelta

from holdfast.configuration import Database
from holdfast.configuration.places import Provider
from holdfast.model.points import Mechanism
from holdfast.model.provider_settings import Wanted

_HOUR = re.compile(r"cron\(\d+ (\d+) ")
_USUAL_HOUR = 2
_ON_SCHEDULE = {Provider.NEON, Provider.VERCEL}
"""Whose snapshots of each day come from a schedule that somebody sets; RDS takes them in its backup window."""


def wanted_of(database: Database, second_region: str | None) -> Wanted:
    """Return what the enabled tiers of *database* rest on."""
    hourly, daily = database.tiers.hourly, database.tiers.daily
    by_history = hourly.enabled and hourly.mechanism is Mechanism.HISTORY
    by_schedule = daily.enabled and daily.mechanism is Mechanism.SNAPSHOT and database.provider in _ON_SCHEDULE
    hour = _HOUR.match(daily.schedule) if daily.timezone == "UTC" else None
    return Wanted(
        history=timedelta(days=hourly.keep_days if by_history else 0),
        second_region=second_region or "",
        snapshot_hour=int(hour.group(1)) if hour else _USUAL_HOUR,
        snapshot_keep=timedelta(days=daily.keep_days) if by_schedule else None,
    )
