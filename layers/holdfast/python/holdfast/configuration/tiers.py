"""The four tiers: when their points are taken, by which mechanism, and how long they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from holdfast.configuration import rules
from holdfast.configuration.clocks import left_out
from holdfast.configuration.places import names_its_place
from holdfast.configuration.section import Section
from holdfast.model.points import Mechanism, Tier

TimeZone = Annotated[str, AfterValidator(rules.time_zone)]
Schedule = Annotated[str, AfterValidator(rules.schedule)]

DEFAULTS: dict[Tier, dict[str, Any]] = {
    # Half past, so that the hourly run never meets the daily, weekly or monthly one at the database's lock.
    Tier.HOURLY: {"schedule": "cron(30 * * * ? *)", "keep_days": 7, "flexible_minutes": 5, "alarm_hours": 2},
    Tier.DAILY: {"schedule": "cron(0 2 * * ? *)", "keep_days": 30, "flexible_minutes": 15, "alarm_hours": 25},
    Tier.WEEKLY: {"schedule": "cron(0 3 ? * SUN *)", "keep_days": 90, "flexible_minutes": 15, "alarm_hours": 192},
    Tier.MONTHLY: {"schedule": "cron(0 4 1 * ? *)", "keep_days": 365, "flexible_minutes": 15, "alarm_hours": 768},
}
LATER = {
    Tier.HOURLY: "cron(30 * * * ? *)",
    Tier.DAILY: "cron(0 5 * * ? *)",
    Tier.WEEKLY: "cron(0 6 ? * SUN *)",
    Tier.MONTHLY: "cron(0 7 1 * ? *)",
}
_OF_PROVIDERS = {Tier.HOURLY: Mechanism.HISTORY, Tier.DAILY: Mechanism.SNAPSHOT}
"""By which mechanism a provider's own means meet a tier; the others are archives with every provider."""


class TierPlan(Section):
    """
    `[databases.NAME.tiers.TIER]`: when points of a tier are taken (in *timezone*), and how long they are kept.

    *alarm_hours* is how old the tier's newest intact point may be.
    """

    enabled: bool = Field(strict=True)
    mechanism: Mechanism
    schedule: Schedule
    timezone: TimeZone
    flexible_minutes: int = Field(ge=0, le=1440, strict=True)
    keep_days: int = Field(ge=1, le=36_500, strict=True)
    alarm_hours: int = Field(ge=1, le=876_000, strict=True)

    @model_validator(mode="after")
    def _has_no_gap(self) -> Self:
        if day := left_out(self.schedule, self.timezone):
            raise ValueError(
                f"would leave {day} out: clocks go forward in {self.timezone} then, and AWS skips a time that there is "
                'not; choose another hour, or timezone = "UTC"'
            )
        return self


class Tiers(Section):
    """`[databases.NAME.tiers]`: the four scheduled tiers, complete: what the file leaves out has its default."""

    hourly: TierPlan
    daily: TierPlan
    weekly: TierPlan
    monthly: TierPlan

    def enabled(self) -> Iterator[tuple[Tier, TierPlan]]:
        """Yield the tiers that have a schedule, the most frequent first."""
        return ((tier, plan) for tier, plan in self.all() if plan.enabled)

    def all(self) -> Iterator[tuple[Tier, TierPlan]]:
        """Yield every tier, the most frequent first."""
        for tier in DEFAULTS:
            yield tier, getattr(self, tier.value)

    def mechanism(self, tier: Tier) -> Mechanism:
        """Return how points of *tier* are taken; manual ones are archives."""
        return dict(self.all())[tier].mechanism if tier in DEFAULTS else Mechanism.ARCHIVE


def complete(given: Mapping[str, Any], database: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables of all tiers of a *database*, with defaults for what *given* leaves out."""
    return {**given, **{tier.value: _complete_tier(tier, given.get(tier.value, {}), database) for tier in DEFAULTS}}


def _complete_tier(tier: Tier, given: Any, database: Mapping[str, Any]) -> Any:
    """
    Return the table of *tier*, complete.

    Without a table that names it at its provider, a database's points are all archives. An hourly archive
    is for `postgres` only, unless somebody asks for it.
    """
    if not isinstance(given, dict):
        return given
    placed = names_its_place(database)
    mechanism = given.get("mechanism", _OF_PROVIDERS.get(tier, Mechanism.ARCHIVE) if placed else Mechanism.ARCHIVE)
    enabled = tier is not Tier.HOURLY or mechanism != Mechanism.ARCHIVE or database.get("provider") == "postgres"
    timezone = database.get("timezone", "UTC")
    # A database's own time zone is reported once, not once for each tier that inherits it. Hours pass in all of them
    # alike, but where clocks go back, an hour that comes twice would have one run.
    inherits = tier is not Tier.HOURLY and isinstance(timezone, str) and rules.is_time_zone(timezone)
    zone = given.get("timezone", timezone if inherits else "UTC")
    defaults = {**DEFAULTS[tier], "timezone": zone, "schedule": _schedule_of(tier, zone)}
    return {"enabled": enabled, "mechanism": mechanism, **defaults, **given}


def _schedule_of(tier: Tier, zone: object) -> str:
    """Return the default schedule of *tier*, at a later hour where clocks would leave one of its days out."""
    usual = str(DEFAULTS[tier]["schedule"])
    if not isinstance(zone, str) or not rules.is_time_zone(zone) or not left_out(usual, zone):
        return usual
    return LATER[tier]
