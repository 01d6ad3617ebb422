"""Real servers, and an AWS in memory, for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from holdfast.adapters.aws import Clients
from snapshot.servers import client_programs, databases, programs_directory, small

__all__ = ["client_programs", "databases", "programs_directory", "small"]

EUROPE: Any = {"LocationConstraint": "eu-central-1"}


@pytest.fixture
def clients(fixed_environment: None) -> Iterator[Clients]:
    with mock_aws():
        made = Clients()
        made.s3.create_bucket(Bucket="archive", CreateBucketConfiguration=EUROPE, ObjectLockEnabledForBucket=True)
        made.s3.create_bucket(Bucket="scratch", CreateBucketConfiguration=EUROPE)
        made.dynamodb.create_table(
            TableName="catalogue",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )
        yield made
