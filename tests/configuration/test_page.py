"""The page about the configuration names every key and every default."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from holdfast.configuration import (
    Archiving,
    AuroraPlace,
    Check,
    Database,
    Functions,
    Monitoring,
    NeonPlace,
    Network,
    RdsPlace,
    System,
    Target,
    TierPlan,
    VercelPlace,
    parse,
)

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
MINIMAL = '{"holdfast": {"region": "eu-central-1"}, "databases": {"shop": {"provider": "postgres"}}}'


@pytest.mark.parametrize(
    "section",
    [
        *(System, Network, Database, TierPlan, Check, Target, Functions, Archiving, Monitoring),
        *(RdsPlace, AuroraPlace, NeonPlace, VercelPlace),
    ],
)
def test_every_key_is_explained(section: type[BaseModel]) -> None:
    missing = {name for name in section.model_fields if f"`{name}`" not in PAGE and f"] {name}`" not in PAGE}

    assert missing - {"tiers", "checks", "rds", "aurora", "neon", "vercel"} == set()


@pytest.mark.parametrize("kind", ["schedule", "flexible_minutes", "keep_days", "alarm_hours"])
def test_the_defaults_of_tiers_are_those_of_the_page(kind: str) -> None:
    tiers = parse(MINIMAL).databases["shop"].tiers

    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{kind}` |")]

    written = [cell.strip(" `") for cell in row.split("|")[2:-1]]
    assert written == [str(getattr(plan, kind)) for plan in (tiers.hourly, tiers.daily, tiers.weekly, tiers.monthly)]
