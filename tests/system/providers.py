"""Databases at RDS and at Neon for the suite: the twins of both, with what leads the local system to them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import boto3
import httpx
import psycopg

from holdfast_local.neon import NeonTwin
from holdfast_local.rds import RdsTwin

RDS, NEON = "managed", "branched"
NAMES = (RDS, NEON)
REGION = "eu-central-1"
SMALL = """
    CREATE TABLE users (id int PRIMARY KEY, name text);
    INSERT INTO users SELECT n, 'u' || n FROM generate_series(1, 500) n;
"""


@dataclass
class Providers:
    """An RDS instance and a Neon project, each with a small database, for as long as the block lasts."""

    directory: Path
    urls: dict[str, str] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.rds = self._open.enter_context(RdsTwin(self.directory / "rds", seconds=0.05))
        self.neon = self._open.enter_context(NeonTwin(self.directory / "neon", seconds=0.05))
        self.urls = {RDS: self._instance(), NEON: self._project()}
        for url in self.urls.values():
            with psycopg.connect(url, autocommit=True) as session:
                session.execute(SMALL.encode())
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def client(self) -> Any:
        """Return a client of the twin of RDS."""
        return boto3.client(
            "rds",
            region_name=REGION,
            endpoint_url=self.rds.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # the twin knows nobody
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return what leads functions to the twins, and the key to Neon's; nothing where they do not run."""
        if not self.urls:
            return {}
        return {
            "AWS_ENDPOINT_URL_RDS": self.rds.url,
            "HOLDFAST_NEON_ENDPOINT": self.neon.url,
            "NEON_API_KEY": self.neon.key,
        }

    @property
    def toml(self) -> str:
        """Return both databases' part of a configuration; nothing starts by the clock."""
        off = "".join(f"tiers.{tier}.enabled = false\n" for tier in ("hourly", "daily", "weekly", "monthly"))
        return (
            f'[databases.{RDS}]\nprovider = "rds"\nurl_env = "URL_MANAGED"\nrds.instance = "prod-1"\n{off}'
            f'[databases.{NEON}]\nprovider = "neon"\nurl_env = "URL_BRANCHED"\nsource = "copy"\n'
            f'neon.project = "{self.neon.project.id}"\nneon.api_key_env = "NEON_API_KEY"\n{off}'
        )

    def _instance(self) -> str:
        made = self.client().create_db_instance(
            DBInstanceIdentifier="prod-1",
            DBInstanceClass="db.t4g.micro",
            Engine="postgres",
            MasterUsername="master",
            MasterUserPassword="pl4ntedsecret",
            DBName="shop",
            StorageEncrypted=True,
            BackupRetentionPeriod=7,
        )["DBInstance"]
        self.rds.account.settle()
        found = self.client().describe_db_instances(DBInstanceIdentifier=made["DBInstanceIdentifier"])["DBInstances"]
        address = found[0]["Endpoint"]
        return f"postgresql://master:pl4ntedsecret@{address['Address']}:{address['Port']}/shop"

    def _project(self) -> str:
        """Return the address of the default branch, with the password that Neon made up."""
        asked = {"database_name": "neondb", "role_name": "neondb_owner", "pooled": "false"}
        headers = {"Authorization": f"Bearer {self.neon.key}"}
        path = f"{self.neon.url}/projects/{self.neon.project.id}/connection_uri"
        return str(httpx.get(path, params=asked, headers=headers).json()["uri"])
