"""Clients of an AWS in memory, and clients whose answers are written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from holdfast.adapters.aws import Clients

EUROPE: Any = {"LocationConstraint": "eu-central-1"}


@pytest.fixture
def clients(fixed_environment: None) -> Iterator[Clients]:
    with mock_aws():
        made = Clients()
        made.s3.create_bucket(Bucket="archive", CreateBucketConfiguration=EUROPE, ObjectLockEnabledForBucket=True)
        yield made
