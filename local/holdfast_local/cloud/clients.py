"""AWS clients for the local cloud, which nothing in the shell or the home directory can lead elsewhere."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

ACCOUNT = "000000000000"
CONFIG = Config(
    s3={"addressing_style": "path"},
    retries={"total_max_attempts": 1},
    read_timeout=960,  # longer than any function may run
    inject_host_prefix=False,
    max_pool_connections=50,
    proxies={},  # not those of the environment: the local cloud is on this machine
)
# Name in the configuration file, environment variable, default, conversion.
_UNTOUCHED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def session() -> boto3.session.Session:
    """Return a session that reads no profile, configuration file or credentials of the user's."""
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=_UNTOUCHED))


@functools.cache
def client(service: str, endpoint: str, region: str) -> Any:
    """
    Return the client of *service* at *endpoint*, as the account's root (the deployer).

    It is made once, since making one costs 10 to 50 ms.
    """
    root = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}  # no secret: every local cloud has these
    return client_as(root, service, endpoint, region)


def client_as(
    credentials: Mapping[str, str], service: str, endpoint: str, region: str, config: Config | None = None
) -> Any:
    """Return a new client of *service* that acts with *credentials*, boto3's keyword arguments."""
    return session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name=region,
        config=CONFIG.merge(config) if config else CONFIG,
        **credentials,
    )
