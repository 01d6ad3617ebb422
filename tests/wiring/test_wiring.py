"""Settings, and what wiring makes of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from moto import mock_aws

from holdfast.adapters.aws import Clients
from holdfast.configuration import Configuration, parse
from holdfast.errors import BadConfiguration, BadRequest, UnknownDatabase
from holdfast.settings import CatalogueSettings, CopySettings, RestoreSettings, SealSettings, Settings, VerifySettings
from holdfast.wiring import Wiring

ENVIRONMENT = {
    "HOLDFAST_ARCHIVE_BUCKET": "holdfast-archive-123",
    "HOLDFAST_SCRATCH_BUCKET": "holdfast-scratch-123",
    "HOLDFAST_CATALOGUE_TABLE": "holdfast-catalogue",
    "HOLDFAST_SIGNING_KEY": "arn:aws:kms:eu-central-1:123456789012:key/1a2b",
    "HOLDFAST_DIGEST_KEY": "arn:aws:kms:eu-central-1:123456789012:key/3c4d",
    "HOLDFAST_REPLICA_BUCKET": "holdfast-replica-123-eu-west-1",
}
DOCUMENT = """{
    "holdfast": {"region": "eu-central-1", "second_region": "eu-west-1"},
    "databases": {"shop": {"provider": "postgres"}, "blog": {"provider": "neon"}},
    "targets": {"spare": {}}
}"""


def configured() -> Configuration:
    return parse(DOCUMENT)


def set_environment(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    "kind", [Settings, CatalogueSettings, CopySettings, SealSettings, VerifySettings, RestoreSettings]
)
def test_a_complete_environment_is_read_by_every_kind(kind: type[Settings]) -> None:
    settings = kind.read(ENVIRONMENT)

    assert settings.catalogue_table == "holdfast-catalogue"


@pytest.mark.parametrize("kind", [CatalogueSettings, CopySettings, SealSettings, VerifySettings, RestoreSettings])
def test_a_kind_is_content_with_what_it_requires(kind: type[Settings]) -> None:
    kind.read({name: value for name, value in ENVIRONMENT.items() if name in kind.required()})


def test_every_bad_variable_is_named_at_once_and_no_value_is_repeated() -> None:
    environment = ENVIRONMENT | {"HOLDFAST_ARCHIVE_BUCKET": "s3://a", "HOLDFAST_SIGNING_KEY": "alias/x"}
    del environment["HOLDFAST_SCRATCH_BUCKET"]

    with pytest.raises(BadConfiguration) as caught:
        SealSettings.read(environment)

    assert caught.value.message == (
        "The function's environment is wrong: HOLDFAST_ARCHIVE_BUCKET is not the name of a bucket; "
        "HOLDFAST_SCRATCH_BUCKET is missing; HOLDFAST_SIGNING_KEY is not the ARN of a KMS key."
    )


def test_an_empty_variable_counts_as_missing() -> None:
    with pytest.raises(BadConfiguration, match="HOLDFAST_CATALOGUE_TABLE is missing"):
        CatalogueSettings.read({"HOLDFAST_CATALOGUE_TABLE": ""})


def test_a_port_whose_variable_is_missing_names_it_when_it_is_asked_for() -> None:
    wiring = Wiring(Settings.read({}), configured=configured)

    with pytest.raises(BadConfiguration, match="HOLDFAST_ARCHIVE_BUCKET is missing"):
        _ = wiring.archive


def test_warm_invocations_share_one_wiring(monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch, ENVIRONMENT)

    assert Wiring.from_environment() is Wiring.from_environment()


def test_every_port_is_built_without_a_call_to_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    wiring = Wiring(RestoreSettings.read(ENVIRONMENT), configured=configured)

    ports = [wiring.archive, wiring.scratch, wiring.points, wiring.holds, wiring.restores]
    ports += [wiring.signer, wiring.digest_keys, wiring.secrets, wiring.executions]

    assert wiring.archive is ports[0]


def test_a_database_is_found_by_name() -> None:
    wiring = Wiring(Settings(), configured=configured)

    assert wiring.database("shop").secret == "holdfast/shop"
    assert wiring.target("spare").secret == "holdfast/target/spare"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("shpo", "Did you mean shop? Known are blog, shop.", id="misspelt"),
        pytest.param("payroll", "Known are blog, shop.", id="far from every name"),
    ],
)
def test_an_unknown_database_is_answered_with_the_known_ones(name: str, hint: str) -> None:
    wiring = Wiring(Settings(), configured=configured)

    with pytest.raises(UnknownDatabase) as caught:
        wiring.database(name)

    assert str(caught.value) == f"There is no database {name!r}. {hint}"


def test_an_unknown_target_is_a_bad_request() -> None:
    wiring = Wiring(Settings(), configured=configured)

    with pytest.raises(BadRequest, match="Known are spare"):
        wiring.target("other")


def test_connection_parameters_come_from_the_secret_as_it_is_now() -> None:
    with mock_aws():
        client = Clients().secrets_manager
        client.create_secret(Name="holdfast/shop", SecretString="postgresql://backup:old@db.example.com/shop")
        wiring = Wiring(Settings(), configured=configured)
        shop = wiring.database("shop")
        before = wiring.parameters(shop)

        client.put_secret_value(SecretId="holdfast/shop", SecretString="postgresql://backup:new@db.example.com/shop")

        assert (before.password, wiring.parameters(shop).password) == ("old", "new")


@mock_aws
def test_the_replica_is_reached_in_the_second_region_and_the_archive_in_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    wiring = Wiring(Settings.read(ENVIRONMENT), configured=configured)

    assert wiring.replica._client.meta.region_name == "eu-west-1"  # type: ignore[attr-defined]
    assert wiring.archive._client.meta.region_name == "eu-central-1"  # type: ignore[attr-defined]


def test_what_speaks_to_providers_is_not_loaded_before_somebody_asks() -> None:
    code = "import sys, holdfast.wiring; print({'httpx', 'holdfast.adapters.providers'} & {*sys.modules})"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "set()"
