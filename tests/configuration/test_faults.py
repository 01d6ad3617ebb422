"""What people read when `holdfast.toml` is wrong: every fault at once, with line, key and remedy."""

from __future__ import annotations

import zoneinfo
from pathlib import Path

import pytest

from holdfast.configuration import load
from holdfast.errors import BadConfiguration

HEAD = """\
[holdfast]
region = "eu-central-1"

[databases.shop]
provider = "postgres"
"""
NETWORK = """
[networks.private]
vpc_id = "vpc-0a1b2c3d4e5f60718"
availability_zones = ["eu-central-1a"]
subnet_ids = ["subnet-0a1b2c3d4e5f60718"]
route_table_ids = ["rtb-0a1b2c3d4e5f60718"]
"""


def faults(directory: Path, text: str) -> list[str]:
    file = directory / "holdfast.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadConfiguration) as caught:
        load(file)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param('exclude_tables = ["a.b.c"]', "has more parts than a schema and a name", id="three parts"),
        pytest.param('exclude_rows = ["\\"open"]', "has a quotation mark that is not closed", id="quotation mark"),
        pytest.param('include_schemas = ["app.users"]', "has more parts than the name of a schema", id="a table"),
        pytest.param('include_tables = [""]', "names nothing", id="nothing"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_told_with_its_line(tmp_path: Path, line: str, fault: str) -> None:
    (found,) = faults(tmp_path, HEAD + line)

    assert found.startswith("holdfast.toml:6: databases.shop.")
    assert fault in found


def test_every_fault_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
[holdfast]
name = "Acme"

[databases.shop]
provider = "mysql"      # no: [databases.fake]
network = "privat"
notes = '''
[databases.fake]
provider = "fake"
'''
concurrency = 0

[databases.Shop]
provider = "neon"
tiers.daily = { keep_dais = 3 }

[[databases.shop.checks]]
name = "users"
sql = "SELECT 1"
expect = 1

[[databases.shop.checks]]
name = "orders"
expect = 1
"""

    found = faults(tmp_path, text)

    assert found == [
        "holdfast.toml:2: holdfast.name: 'Acme' is no name; use up to 20 of a-z, 0-9 and -, a letter first, no - last.",
        "holdfast.toml:5: databases.shop.provider: 'mysql' is not known; "
        "choose one of 'rds', 'aurora', 'neon', 'vercel' or 'postgres'.",
        "holdfast.toml:6: databases.shop.network: 'privat' is no network; known are internet.",
        "holdfast.toml:7: databases.shop.notes: is not a known key; "
        "known are aurora, checks, concurrency, exclude_rows, exclude_schemas, exclude_tables, include_schemas, "
        "include_tables, neon, network, provider, rds, secret, source, standby, tiers, timezone, url_env, vercel, "
        "yield_after_seconds, yield_pauses_seconds.",
        "holdfast.toml:11: databases.shop.concurrency: must be at least 1.",
        "holdfast.toml:13: databases.Shop: 'Shop' is no name; use up to 32 of a-z, 0-9 and -, "
        "a letter first, no - last.",
        "holdfast.toml:15: databases.Shop.tiers.daily.keep_dais: is not a known key; did you mean 'keep_days'?",
        "holdfast.toml:22: databases.shop.checks.1.sql: is missing.",
    ]


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        pytest.param('timezone = "Europe/Berlim"', "6: databases.shop.timezone: 'Europe/Berlim' is no time zone; "
                     "did you mean 'Europe/Berlin'?", id="a misspelt time zone"),
        pytest.param("concurency = 4", "6: databases.shop.concurency: is not a known key; did you mean 'concurrency'?",
                     id="a misspelt key"),
        pytest.param('concurrency = "4"', "6: databases.shop.concurrency: must be a whole number.", id="text"),
        pytest.param("concurrency = true", "6: databases.shop.concurrency: must be a whole number.", id="a truth"),
        pytest.param("tiers = 3", "6: databases.shop.tiers: must be a table.", id="a number for a table"),
        pytest.param("tiers.daily = 3", "6: databases.shop.tiers.daily: must be a table.", id="a number for a tier"),
        pytest.param("tiers.yearly.keep_days = 3", "6: databases.shop.tiers.yearly: is not a known key; "
                     "known are daily, hourly, monthly, weekly.", id="an unknown tier"),
        pytest.param('tiers.daily.enabled = "yes"', "6: databases.shop.tiers.daily.enabled: must be true or false.",
                     id="text for a truth"),
        pytest.param("checks = {}", "6: databases.shop.checks: must be a list in brackets.", id="a table for a list"),
        pytest.param('secret = "a b"', "6: databases.shop.secret: is not the name of a secret; "
                     "use letters, digits and /_+=.@-.", id="a secret's name with a blank"),
        pytest.param('tiers.daily.schedule = "0 2 * * *"', "6: databases.shop.tiers.daily.schedule: '0 2 * * *' is no "
                     "schedule; write cron(minutes hours day-of-month month day-of-week year) or rate(1 hour).",
                     id="a crontab's line"),
        pytest.param("[archive]\nlock_days = 31", "7: archive.lock_days: is 31, longer than "
                     "databases.shop.tiers.hourly is kept (7 days); lower it, or keep that "
                     "tier longer.", id="a lock longer than a tier"),
        pytest.param('[networks.internet]\nvpc_id = "vpc-0a1b2c3d"\navailability_zones = ["a"]\n'
                     'subnet_ids = ["subnet-0a1b2c3d"]\nendpoints = false',
                     "6: networks.internet: 'internet' is reserved for functions "
                     "outside any VPC; choose another name.", id="the reserved network"),
    ],
)  # fmt: skip
def test_a_fault_has_line_key_and_remedy(tmp_path: Path, addition: str, expected: str) -> None:
    assert faults(tmp_path, HEAD + addition) == [f"holdfast.toml:{expected}"]


def test_a_network_that_nobody_defined_is_answered_with_the_nearest(tmp_path: Path) -> None:
    found = faults(tmp_path, HEAD + 'network = "privat"' + NETWORK)

    assert found == ["holdfast.toml:6: databases.shop.network: 'privat' is no network; did you mean 'private'?"]


def test_zones_and_subnets_correspond(tmp_path: Path) -> None:
    found = faults(tmp_path, HEAD + NETWORK.replace('["eu-central-1a"]', '["eu-central-1a", "eu-central-1b"]'))

    assert found == [
        "holdfast.toml:7: networks.private: 2 availability_zones and 1 subnet_ids do not match; "
        "list one subnet for each zone, in the same order."
    ]


def test_endpoints_need_route_tables(tmp_path: Path) -> None:
    found = faults(tmp_path, HEAD + NETWORK.replace("route_table_ids", "# route_table_ids"))

    assert found == [
        "holdfast.toml:7: networks.private: has endpoints but no route_table_ids; list the route tables of its "
        "subnets, or set endpoints = false where S3 and DynamoDB are reachable already."
    ]


def test_a_url_in_the_place_of_a_variable_is_never_repeated(tmp_path: Path) -> None:
    found = faults(tmp_path, HEAD + 'url_env = "postgresql://user:geheim@host/db"')

    assert found == [
        "holdfast.toml:6: databases.shop.url_env: is not the name of an environment variable; "
        "give its name, not the URL itself."
    ]


@pytest.mark.parametrize("key", ["url", "password", "dsn"])
def test_a_secret_under_a_key_that_nobody_knows_is_never_repeated(tmp_path: Path, key: str) -> None:
    found = faults(tmp_path, HEAD + f'{key} = "postgresql://user:geheim@host/db"')

    assert "is not a known key" in found[0]
    assert "geheim" not in found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[holdfast\n", "holdfast.toml:1: ", id="a header that does not end"),
        pytest.param('[holdfast]\nname = "x\n', "holdfast.toml:2: ", id="text that does not end"),
        pytest.param("[holdfast]\nname = 1\nname = 2\n", "holdfast.toml:3: ", id="a key twice"),
        pytest.param("[holdfast]\nname = [\n", "holdfast.toml:", id="a list that does not end"),
    ],
)
def test_a_syntax_fault_has_its_line(tmp_path: Path, text: str, expected: str) -> None:
    found = faults(tmp_path, text)

    assert len(found) == 1
    assert found[0].startswith(expected)
    assert found[0].endswith("Correct the TOML syntax.")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=r"nowhere\.toml does not exist"):
        load(tmp_path / "nowhere.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(BadConfiguration, match="UTF-8"):
        load(tmp_path / "holdfast.toml")


def test_a_system_without_time_zone_data_believes_every_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoneinfo, "available_timezones", set[str])
    (tmp_path / "holdfast.toml").write_text(HEAD + 'timezone = "Nowhere/Town"')

    configuration = load(tmp_path / "holdfast.toml")

    assert configuration.databases["shop"].timezone == "Nowhere/Town"


def test_a_former_sealing_key_is_a_public_key(tmp_path: Path) -> None:
    (found,) = faults(
        tmp_path, HEAD.replace("\n\n", '\nformer_sealing_keys = ["arn:aws:kms:eu-central-1:1:key/1"]\n\n', 1)
    )

    assert "holdfast.toml:3: holdfast.former_sealing_keys" in found
    assert "is no public key" in found


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        pytest.param('region = "eu-west-1"', "is eu-west-1 like region; a second region must be another", id="same"),
        pytest.param('name = "vault"', "needs region; choose both", id="no first region"),
    ],
)
def test_a_second_region_is_another_one_than_the_first(tmp_path: Path, head: str, fault: str) -> None:
    (found,) = faults(tmp_path, f'[holdfast]\n{head}\nsecond_region = "eu-west-1"\n')

    assert found.startswith(f"holdfast.toml:3: holdfast.second_region: {fault}")
