"""Each suite runs over the fake and over the real adapter against an AWS in memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from moto import mock_aws

from fakes import (
    MemoryArchive,
    MemoryDigestKeys,
    MemoryHolds,
    MemoryPoints,
    MemoryRestores,
    MemoryScratch,
    MemorySecrets,
    MemorySigner,
    MemoryVault,
)
from holdfast.adapters import aws
from holdfast.ports.catalogue import Holds, Points, Restores
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.secrets import Secrets
from holdfast.ports.storage import Archive, Scratch, Versions
from holdfast.ports.vault import Vault
from holdfast_local.cloud import lifecycle
from holdfast_local.cloud.clients import client

FAKE, AWS = "fake", "aws"
over_both = pytest.fixture(params=[FAKE, AWS])
EUROPE: Any = {"LocationConstraint": "eu-central-1"}
SECRETS = {"holdfast/shop": "postgresql://user:pass@host/db"}


@pytest.fixture
def clients(fixed_environment: None) -> Iterator[aws.Clients]:
    with mock_aws():
        yield aws.Clients()


@pytest.fixture
def table(clients: aws.Clients) -> str:
    clients.dynamodb.create_table(
        TableName="catalogue",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )
    return "catalogue"


@over_both
def points(request: pytest.FixtureRequest) -> Points:
    if request.param == FAKE:
        return MemoryPoints()
    return aws.DynamoPoints(request.getfixturevalue("clients").dynamodb, request.getfixturevalue("table"))


@over_both
def holds(request: pytest.FixtureRequest) -> Holds:
    if request.param == FAKE:
        return MemoryHolds()
    return aws.DynamoHolds(request.getfixturevalue("clients").dynamodb, request.getfixturevalue("table"))


@over_both
def restores(request: pytest.FixtureRequest) -> Restores:
    if request.param == FAKE:
        return MemoryRestores()
    return aws.DynamoRestores(request.getfixturevalue("clients").dynamodb, request.getfixturevalue("table"))


@pytest.fixture
def locked_bucket(clients: aws.Clients) -> str:
    clients.s3.create_bucket(Bucket="archive", CreateBucketConfiguration=EUROPE, ObjectLockEnabledForBucket=True)
    return "archive"


@dataclass(frozen=True)
class Shelf:
    """One locked bucket by both of its ports."""

    archive: Archive
    versions: Versions


@pytest.fixture(scope="session")
def local_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a client of the local cloud's S3, which takes locks and versions as seriously as AWS does."""
    state = tmp_path_factory.mktemp("cloud")
    endpoint = lifecycle.start(state)
    try:
        yield client("s3", endpoint.url, endpoint.region)
    finally:
        lifecycle.down(state)


@over_both
def shelf(request: pytest.FixtureRequest) -> Shelf:
    """Return a bucket whose pages of versions are short."""
    if request.param == FAKE:
        memory = MemoryArchive(page_keys=4)
        memory.today = datetime.now(UTC)
        return Shelf(memory, memory)
    s3, bucket = request.getfixturevalue("local_s3"), f"archive-{uuid.uuid4()}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=EUROPE, ObjectLockEnabledForBucket=True)
    return Shelf(aws.S3Archive(s3, bucket), aws.S3Versions(s3, bucket, page_keys=5))


@over_both
def archive(request: pytest.FixtureRequest) -> Archive:
    if request.param == FAKE:
        return MemoryArchive()
    return aws.S3Archive(request.getfixturevalue("clients").s3, request.getfixturevalue("locked_bucket"))


@over_both
def scratch(request: pytest.FixtureRequest) -> Scratch:
    if request.param == FAKE:
        return MemoryScratch()
    s3 = request.getfixturevalue("clients").s3
    s3.create_bucket(Bucket="scratch", CreateBucketConfiguration=EUROPE)
    return aws.S3Scratch(s3, "scratch")


@pytest.fixture
def signer() -> Signer:
    """Only the fake: the AWS in memory hashes a digest once more (tests/adapters checks what KMS is asked)."""
    return MemorySigner()


@over_both
def digest_keys(request: pytest.FixtureRequest) -> DigestKeys:
    if request.param == FAKE:
        return MemoryDigestKeys()
    kms = request.getfixturevalue("clients").kms
    key = kms.create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")["KeyMetadata"]["Arn"]
    return aws.KmsDigestKeys(kms, key)


@over_both
def vault(request: pytest.FixtureRequest) -> Vault:
    if request.param == FAKE:
        return MemoryVault()
    return aws.SecretsManagerVault(request.getfixturevalue("clients").secrets_manager, "holdfast")


@over_both
def secrets(request: pytest.FixtureRequest) -> Secrets:
    if request.param == FAKE:
        return MemorySecrets(SECRETS)
    client = request.getfixturevalue("clients").secrets_manager
    for name, text in SECRETS.items():
        client.create_secret(Name=name, SecretString=text)
    return aws.SecretsManager(client)
