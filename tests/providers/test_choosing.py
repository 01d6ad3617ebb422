"""Which adapter a database gets, and with which key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fakes import MemorySecrets
from holdfast.adapters.aws import Clients
from holdfast.adapters.aws.rds import AuroraCluster, RdsInstance
from holdfast.adapters.neon import Neon
from holdfast.adapters.providers import Providers, key_of
from holdfast.adapters.vercel import VercelProject
from holdfast.configuration import Database, parse
from holdfast.errors import BadConfiguration
from holdfast.model.provider_settings import Wanted
from holdfast.usecases.provider_settings import wanted_of


def database(**more: Any) -> Database:
    return parse(json.dumps({"databases": {"shop": more}})).databases["shop"]


def providers(**secrets: str) -> Providers:
    found = MemorySecrets({name.replace("_", "/"): text for name, text in secrets.items()})
    return Providers(Clients(), found, now=lambda: datetime.now(UTC), sleep=lambda _: None)


@pytest.mark.parametrize(
    ("provider", "places", "adapter"),
    [
        ("rds", {"rds": {"instance": "prod-1"}}, RdsInstance),
        ("aurora", {"aurora": {"cluster": "prod"}}, AuroraCluster),
        ("neon", {"neon": {"project": "p"}}, Neon),
        ("vercel", {"neon": {"project": "p"}, "vercel": {"project": "q"}}, Neon),
    ],
)
def test_each_provider_has_its_adapter(
    monkeypatch: pytest.MonkeyPatch, provider: str, places: dict[str, Any], adapter: type
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

    found = providers(holdfast_shop_neon="napi_1").of(database(provider=provider, **places))

    assert isinstance(found, adapter)


def test_the_application_of_a_database_is_its_vercel_project() -> None:
    places: dict[str, Any] = {"neon": {"project": "p"}, "vercel": {"project": "q", "team": "team_1"}}
    known = providers(holdfast_shop_vercel="vcp_1", holdfast_shop_neon="napi_1")

    assert isinstance(known.application_of(database(provider="vercel", **places)), VercelProject)
    assert known.application_of(database(provider="neon", neon={"project": "p"})) is None


@pytest.mark.parametrize("provider", ["postgres", "neon"])
def test_a_database_without_a_place_has_no_provider_to_ask(provider: str) -> None:
    with pytest.raises(BadConfiguration, match="Nothing says which thing at its provider shop is"):
        providers().of(database(provider=provider))


@pytest.mark.parametrize("text", ["napi_1", " napi_1\n", '{"api_key": "napi_1"}'])
def test_a_key_is_the_secret_s_text_or_in_its_json(text: str) -> None:
    assert key_of(text, "holdfast/shop/neon") == "napi_1"


@pytest.mark.parametrize("text", ["", " ", "two words", "sch\u00fcssel", "{", '{"key": "napi_1"}', "a\nb"])
def test_a_secret_without_a_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(BadConfiguration, match="The secret holdfast/shop/neon has no API key") as refused:
        key_of(text, "holdfast/shop/neon")

    assert "napi_1" not in str(refused.value)


def test_only_what_enabled_tiers_rest_on_is_wanted_of_a_provider() -> None:
    neon: dict[str, Any] = {"provider": "neon", "neon": {"project": "p"}}
    rds: dict[str, Any] = {"provider": "rds", "rds": {"instance": "prod-1"}}
    archives = {"hourly": {"mechanism": "archive"}, "daily": {"mechanism": "archive"}}
    late = {"daily": {"schedule": "cron(30 5 * * ? *)", "keep_days": 20}, "hourly": {"keep_days": 3}}

    assert wanted_of(database(**neon), None) == Wanted(history=timedelta(days=7), snapshot_keep=timedelta(days=30))
    assert wanted_of(database(**rds), "eu-west-1") == Wanted(history=timedelta(days=7), second_region="eu-west-1")
    assert wanted_of(database(**neon, tiers=archives), None) == Wanted(history=timedelta(0))
    assert wanted_of(database(**neon, tiers=late), None) == Wanted(
        history=timedelta(days=3), snapshot_hour=5, snapshot_keep=timedelta(days=20)
    )
