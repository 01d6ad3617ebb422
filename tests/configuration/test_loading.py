"""What `holdfast.toml` means once it is read."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from holdfast.configuration import Configuration, Provider, deployed, json_schema, load, parse
from holdfast.configuration.reading import PACKAGE
from holdfast.errors import BadConfiguration
from holdfast.model.points import Tier

MINIMAL = """
[holdfast]
region = "eu-central-1"
[databases.shop]
provider = "postgres"
url_env = "SHOP_URL"
[targets.spare]
url_env = "SPARE_URL"
"""
SAMPLE = Path(__file__).parents[2] / "holdfast.toml"


def read(directory: Path, text: str) -> Configuration:
    file = directory / "holdfast.toml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    configuration = read(tmp_path, MINIMAL)

    shop = configuration.databases["shop"]
    assert configuration.holdfast.name == "holdfast"
    assert (shop.name, shop.secret, shop.network, shop.concurrency) == ("shop", "holdfast/shop", "internet", None)
    assert configuration.targets["spare"].secret == "holdfast/target/spare"
    assert configuration.functions.timeout_seconds == 900


def test_secrets_are_named_after_the_system(tmp_path: Path) -> None:
    configuration = read(tmp_path, MINIMAL.replace("[holdfast]", '[holdfast]\nname = "acme"'))

    assert configuration.databases["shop"].secret == "acme/shop"
    assert configuration.targets["spare"].secret == "acme/target/spare"


def test_a_secret_that_is_named_keeps_its_name(tmp_path: Path) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1a2b-AbCdEf"

    configuration = read(tmp_path, MINIMAL.replace('url_env = "SHOP_URL"', f'secret = "{arn}"'))

    assert configuration.databases["shop"].secret == arn


@pytest.mark.parametrize("provider", list(Provider))
def test_only_a_server_without_history_of_its_own_has_an_hourly_archive(tmp_path: Path, provider: Provider) -> None:
    configuration = read(tmp_path, MINIMAL.replace('"postgres"', f'"{provider}"'))

    tiers = [tier for tier, _ in configuration.databases["shop"].tiers.enabled()]
    hourly = [Tier.HOURLY] if provider is Provider.POSTGRES else []
    assert tiers == [*hourly, Tier.DAILY, Tier.WEEKLY, Tier.MONTHLY]


def test_a_tier_keeps_its_defaults_beside_what_is_set(tmp_path: Path) -> None:
    configuration = read(tmp_path, MINIMAL + '[databases.shop.tiers.daily]\nkeep_days = 60\ntimezone = "Asia/Tokyo"')

    daily = configuration.databases["shop"].tiers.daily
    assert (daily.keep_days, daily.timezone, daily.schedule) == (60, "Asia/Tokyo", "cron(0 2 * * ? *)")
    assert configuration.databases["shop"].tiers.weekly.timezone == "UTC"


def test_tiers_run_in_their_database_s_time_zone(tmp_path: Path) -> None:
    configuration = read(tmp_path, MINIMAL.replace("url_env", 'timezone = "Europe/Berlin"\nurl_env', 1))

    assert configuration.databases["shop"].tiers.monthly.timezone == "Europe/Berlin"


def test_a_switched_off_tier_has_no_schedule(tmp_path: Path) -> None:
    configuration = read(tmp_path, MINIMAL + "[databases.shop.tiers]\nhourly.enabled = false")

    assert Tier.HOURLY not in dict(configuration.databases["shop"].tiers.enabled())


def test_no_two_default_schedules_start_in_the_same_minute(tmp_path: Path) -> None:
    tiers = read(tmp_path, MINIMAL).databases["shop"].tiers

    starts = [plan.schedule.removeprefix("cron(").split()[:2] for _, plan in tiers.enabled()]

    assert starts == [["30", "*"], ["0", "2"], ["0", "3"], ["0", "4"]]


@pytest.mark.parametrize(
    ("written", "text"),
    [("true", "t"), ("false", "f"), ("3", "3"), ("1.5", "1.5"), ('"three"', "three")],
)
def test_a_check_expects_the_text_that_postgresql_would_print(tmp_path: Path, written: str, text: str) -> None:
    check = f'[[databases.shop.checks]]\nname = "n"\nsql = "SELECT 1"\nexpect = {written}\n'

    configuration = read(tmp_path, MINIMAL + check)

    assert configuration.databases["shop"].checks[0].expect == text


def test_the_document_is_the_same_after_reading_it_back(tmp_path: Path) -> None:
    document = read(tmp_path, MINIMAL).document()

    assert parse(document).document() == Configuration.parse(document).document() == document


def test_the_document_has_no_names_of_local_variables(tmp_path: Path) -> None:
    document = read(tmp_path, MINIMAL).document()

    assert "url_env" not in document
    assert "SHOP_URL" not in document


def test_a_function_reads_what_it_was_deployed_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = read(tmp_path, MINIMAL)
    package = tmp_path / "holdfast_configuration"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "holdfast.json").write_text(written.document())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    del sys.modules[PACKAGE]

    assert deployed().document() == written.document()


def test_a_function_without_configuration_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)

    with pytest.raises(BadConfiguration, match=r"holdfast_configuration/holdfast\.json is missing"):
        deployed()


def test_the_sample_is_valid() -> None:
    assert load(SAMPLE).databases


@pytest.mark.parametrize("text", [MINIMAL, SAMPLE.read_text(encoding="utf-8")], ids=["minimal", "sample"])
def test_the_schema_accepts_what_the_loader_accepts(text: str) -> None:
    schema: Any = json_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(tomllib.loads(text), schema)
    json.dumps(schema)


def test_the_schema_refuses_keys_that_nobody_knows() -> None:
    with pytest.raises(jsonschema.ValidationError, match="regoin"):
        jsonschema.validate({"holdfast": {"region": "eu-central-1", "regoin": "x"}}, json_schema())


def test_a_system_without_a_region_goes_nowhere_but_here() -> None:
    configuration = parse("{}")

    with pytest.raises(BadConfiguration, match=r"holdfast\.region is missing"):
        _ = configuration.region
    assert configuration.on_this_machine().region == "eu-central-1"


def test_a_chosen_region_stays_on_this_machine() -> None:
    configuration = parse('{"holdfast": {"region": "us-east-1"}}')

    assert configuration.on_this_machine().region == configuration.region == "us-east-1"
