"""Clients of AWS with sane limits, made when they are first used and then kept."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_stepfunctions import SFNClient


class Clients:
    """
    One client per service for the life of the process; credentials come from the environment.

    So does the region, unless another *region* is meant.
    """

    def __init__(self, region: str | None = None) -> None:
        self._region = region

    @cached_property
    def _session(self) -> Session:
        import boto3

        return boto3.session.Session(region_name=self._region)

    @cached_property
    def s3(self) -> S3Client:
        """
        Return the client for buckets.

        Bodies are checked against the manifest's hashes by who reads them, so the client does not hash
        them a second time (0.75 s of CPU per GB).
        """
        return self._session.client("s3", config=_config(read_timeout=60, response_checksum_validation="when_required"))

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """Return the client for the catalogue."""
        return self._session.client("dynamodb", config=_config(read_timeout=10))

    @cached_property
    def kms(self) -> KMSClient:
        """Return the client for keys."""
        return self._session.client("kms", config=_config(read_timeout=10))

    @cached_property
    def rds(self) -> RDSClient:
        """Return the client for instances, clusters and their snapshots."""
        return self._session.client("rds", config=_config(read_timeout=30))

    @cached_property
    def secrets_manager(self) -> SecretsManagerClient:
        """Return the client for connection parameters."""
        return self._session.client("secretsmanager", config=_config(read_timeout=10))

    @cached_property
    def step_functions(self) -> SFNClient:
        """Return the client for executions and task tokens."""
        return self._session.client("stepfunctions", config=_config(read_timeout=10))


def _config(**options: object) -> Config:
    """Return limits under which a call ends long before the function does: at most five tries, backing off."""
    from botocore.config import Config

    return Config(
        connect_timeout=5,
        retries={"total_max_attempts": 5, "mode": "standard"},
        max_pool_connections=16,
        tcp_keepalive=True,
        **options,  # type: ignore[arg-type]  # named options of botocore
    )
