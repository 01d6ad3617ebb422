"""Which thing at its provider a database is, and what that means for its tiers."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from holdfast.configuration import Configuration, json_schema, load, parse
from holdfast.errors import BadConfiguration
from holdfast.model.points import Mechanism, Tier
from holdfast_infra.configuration_schema import FILE, text

ARCHIVE, SNAPSHOT, HISTORY = Mechanism.ARCHIVE, Mechanism.SNAPSHOT, Mechanism.HISTORY
PLACES = {
    "rds": 'rds.instance = "prod-1"',
    "aurora": 'aurora.cluster = "prod"',
    "neon": 'neon.project = "quiet-forest-12345678"',
    "vercel": 'neon.project = "quiet-forest-12345678"\nvercel.project = "prj_1"',
}


def read(directory: Path, provider: str, *lines: str) -> Configuration:
    file = directory / "holdfast.toml"
    file.write_text("\n".join(["[databases.shop]", f'provider = "{provider}"', *lines]) + "\n", encoding="utf-8")
    return load(file)


def mechanisms(configuration: Configuration) -> dict[Tier, Mechanism]:
    return {tier: plan.mechanism for tier, plan in configuration.databases["shop"].tiers.enabled()}


@pytest.mark.parametrize("provider", sorted(PLACES))
def test_a_provider_s_own_means_meet_the_tiers_that_they_can(tmp_path: Path, provider: str) -> None:
    found = read(tmp_path, provider, PLACES[provider])

    assert mechanisms(found) == {
        Tier.HOURLY: HISTORY,
        Tier.DAILY: SNAPSHOT,
        Tier.WEEKLY: ARCHIVE,
        Tier.MONTHLY: ARCHIVE,
    }
    assert found.databases["shop"].fallback == ""


@pytest.mark.parametrize("provider", sorted(PLACES))
def test_a_database_that_nobody_placed_has_archives_and_says_so(tmp_path: Path, provider: str) -> None:
    found = read(tmp_path, provider)

    assert mechanisms(found) == dict.fromkeys((Tier.DAILY, Tier.WEEKLY, Tier.MONTHLY), ARCHIVE)
    assert "All points of shop are archives: [databases.shop." in found.databases["shop"].fallback


def test_a_mechanism_that_is_chosen_takes_the_place_of_the_default(tmp_path: Path) -> None:
    found = read(
        tmp_path, "rds", PLACES["rds"], 'tiers.hourly.mechanism = "archive"', 'tiers.weekly.mechanism = "snapshot"'
    )

    assert mechanisms(found) == {Tier.DAILY: SNAPSHOT, Tier.WEEKLY: SNAPSHOT, Tier.MONTHLY: ARCHIVE}


def test_an_age_of_its_own_is_alarming_for_each_tier(tmp_path: Path) -> None:
    found = read(tmp_path, "postgres", "tiers.daily.alarm_hours = 30")

    assert [plan.alarm_hours for _, plan in found.databases["shop"].tiers.all()] == [2, 30, 192, 768]


def test_keys_have_secrets_of_their_own_beside_the_database_s(tmp_path: Path) -> None:
    shop = read(tmp_path, "vercel", PLACES["vercel"], 'neon.api_key_env = "NEON_KEY"').databases["shop"]

    assert shop.neon is not None
    assert shop.vercel is not None
    assert (shop.neon.api_key, shop.vercel.token) == ("holdfast/shop/neon", "holdfast/shop/vercel")


def test_the_document_tells_the_places_but_nothing_that_is_local(tmp_path: Path) -> None:
    document = read(tmp_path, "neon", PLACES["neon"], 'neon.api_key_env = "NEON_KEY"').document()

    assert "api_key_env" not in document
    assert parse(document).document() == document


@pytest.mark.parametrize(
    ("provider", "lines", "expected"),
    [
        pytest.param("rds", [PLACES["aurora"]], "3: databases.shop.aurora: does not belong to a database of rds; "
                     "remove it, or correct provider.", id="the table of another provider"),
        pytest.param("neon", [PLACES["vercel"]], "4: databases.shop.vercel: does not belong to a database of neon; "
                     "remove it, or correct provider.", id="Vercel's for Neon itself"),
        pytest.param("vercel", ['vercel.project = "p"'], "3: databases.shop.vercel: is not enough: its database is one "
                     "of Neon's; add the table neon with its project.", id="Vercel without Neon"),
        pytest.param("rds", ['rds.instance = "a/b"'], "3: databases.shop.rds.instance: does not look right; it must "
                     "match ^[A-Za-z][A-Za-z0-9-]{0,62}$.", id="no identifier"),
        pytest.param("rds", ['rds.instanc = "a"', 'rds.instance = "a"'], "3: databases.shop.rds.instanc: is not a "
                     "known key; did you mean 'instance'?", id="a misspelt key"),
        pytest.param("rds", ['source = "copy"'], "3: databases.shop.source: 'copy' needs [databases.shop.rds], which "
                     "says what to ask rds for.", id="a copy of an unknown instance"),
        pytest.param("postgres", ['source = "copy"'], "3: databases.shop.source: 'copy' is for rds, aurora, neon and "
                     "vercel: nobody else could be asked for it.", id="a copy of any server"),
        pytest.param("postgres", ['tiers.daily.mechanism = "snapshot"'], "3: databases.shop.tiers.daily.mechanism: "
                     "'snapshot' is for rds, aurora, neon and vercel: nobody else could be asked for it.",
                     id="a snapshot of any server"),
        pytest.param("neon", ['tiers.daily.mechanism = "history"'], "3: databases.shop.tiers.daily.mechanism: "
                     "'history' needs [databases.shop.neon], which says what to ask neon for.",
                     id="the history of an unknown project"),
        pytest.param("neon", [PLACES["neon"], 'tiers.hourly.mechanism = "snapshot"'], "4: databases.shop.tiers.hourly."
                     "mechanism: 'snapshot' is for a day or longer; choose history or archive.",
                     id="a snapshot every hour"),
        pytest.param("neon", ['neon.project = "p"', 'neon.api_key_env = "napi_a-b"'], "4: databases.shop.neon."
                     "api_key_env: is not the name of an environment variable; give its name, not the URL itself.",
                     id="the key itself"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, provider: str, lines: list[str], expected: str) -> None:
    with pytest.raises(BadConfiguration) as refused:
        read(tmp_path, provider, *lines)

    assert refused.value.message == f"holdfast.toml:{expected}"


def test_the_schema_for_editors_is_the_one_that_the_models_give() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run `make schema`"


@pytest.mark.parametrize("provider", sorted(PLACES))
def test_the_schema_accepts_every_provider_s_table(tmp_path: Path, provider: str) -> None:
    read(tmp_path, provider, PLACES[provider])
    schema: Any = json_schema()

    jsonschema.validate(tomllib.loads((tmp_path / "holdfast.toml").read_text()), schema)
