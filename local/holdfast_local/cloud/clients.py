"""AWS clients for the local cloud, as the account's root (the deployer)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

ACCOUNT = "000000000000"
CONFIG = Config(
    s3={"addressing_style": "path"},
    retries={"total_max_attempts": 1},
    read_timeout=900,
    inject_host_prefix=False,
    max_pool_connections=50,
)


@functools.cache
def client(service: str, endpoint: str, region: str) -> Any:
    """Return the client of *service* at *endpoint*; made once, since making one costs 10 to 50 ms."""
    return boto3.session.Session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (the local cloud's root, not a secret)
        config=CONFIG,
    )


def client_as(credentials: Mapping[str, str], service: str, endpoint: str, region: str) -> Any:
    """Return a new client of *service* that acts with *credentials*, boto3's keyword arguments."""
    return boto3.session.Session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name=region,
        config=CONFIG,
        **credentials,
    )
