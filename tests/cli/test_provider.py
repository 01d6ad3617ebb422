"""`holdfast provider`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from cli.conftest import Command
from holdfast.configuration import parse
from holdfast.model.provider_settings import BACKUP_WINDOW, ENCRYPTED, HISTORY_SECONDS, PROTECTED, Setting, Value
from holdfast_cli import main, system
from holdfast_cli.system import Place, System
from holdfast_local.history import HollowServer
from holdfast_local.neon import NeonTwin

DAY = 86_400


@dataclass
class Settable:
    """A provider whose settings are those that it was given."""

    known: dict[str, Value] = field(
        default_factory=lambda: {ENCRYPTED: False, PROTECTED: False, HISTORY_SECONDS: DAY, BACKUP_WINDOW: "12:00-12:30"}
    )
    applied: list[Setting] = field(default_factory=list)

    def settings(self) -> tuple[Setting, ...]:
        return tuple(Setting(name, value) for name, value in self.known.items())

    def apply(self, changes: Sequence[Setting]) -> None:
        self.applied += changes
        self.known |= {each.name: each.value for each in changes}


@pytest.fixture
def settable(command: Command) -> Settable:
    found = Settable()
    places = {"provider": "rds", "rds": {"instance": "prod-1"}}
    command.system.configuration = parse(json.dumps({"databases": {"shop": places}}))
    vars(command.system)["providers"] = SimpleNamespace(of=lambda _: found)
    return found


def test_each_setting_is_told_with_why_and_what_mends_it(command: Command, settable: Settable) -> None:
    answer = command("provider", "shop")

    assert answer.code == 0
    assert "History reaches back 1 day only; 7 days are needed. Keep history for 7 days." in answer.out
    assert "Storage is not encrypted, so its snapshots never count." in answer.out
    assert "`holdfast provider shop --apply` sets what is offered." in answer.out
    assert settable.applied == []


def test_what_is_offered_is_set_once_the_name_is_confirmed(command: Command, settable: Settable) -> None:
    answer = command("provider", "shop", "--apply", "--confirm", "shop", "--json")

    assert [each.name for each in settable.applied] == [PROTECTED, HISTORY_SECONDS, BACKUP_WINDOW]
    standings = {each["setting"]["name"]: each["standing"] for each in answer.json["settings"]}
    assert standings == {ENCRYPTED: "bad", PROTECTED: "good", HISTORY_SECONDS: "good", BACKUP_WINDOW: "good"}


@pytest.mark.parametrize("confirmed", [[], ["--confirm", "stock"]])
def test_nothing_is_set_without_the_databases_name(command: Command, settable: Settable, confirmed: list[str]) -> None:
    answer = command("provider", "shop", "--apply", *confirmed)

    assert (answer.code, settable.applied) == (2, [])


@pytest.mark.usefixtures("fixed_environment")
def test_the_command_speaks_to_the_provider_with_the_callers_rights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with mock_aws(), NeonTwin(tmp_path / "twin", seconds=0.0, servers=HollowServer) as twin:
        places = {"provider": "neon", "neon": {"project": twin.project.id}}
        configuration = parse(json.dumps({"databases": {"shop": places}}))
        found = System(configuration, Place(region="eu-central-1"))
        monkeypatch.setenv("HOLDFAST_NEON_ENDPOINT", twin.url)
        monkeypatch.setattr(system, "in_aws", lambda _: found)
        vars(found)["_outputs"] = {"CatalogueTable": "catalogue"}
        found.client("secretsmanager").create_secret(Name="holdfast/shop/neon", SecretString=twin.key)
        keys: Any = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        schema = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        found.client("dynamodb").create_table(
            TableName="catalogue", AttributeDefinitions=keys, KeySchema=schema, BillingMode="PAY_PER_REQUEST"
        )

        assert main.run(["provider", "shop", "--apply", "--confirm", "shop", "--json"]) == 0

        settings = json.loads(capsys.readouterr().out)["settings"]
        assert {each["standing"] for each in settings} == {"good"}
        assert twin.project.history_seconds == 7 * DAY
        assert twin.key not in str(settings)
