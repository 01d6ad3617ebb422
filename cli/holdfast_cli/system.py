"""One deployed Holdfast, in AWS or on this machine: its names, its clients, its catalogue."""

from __future__ import annotations

import difflib
import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.adapters.aws import (
    DynamoHolds,
    DynamoPoints,
    DynamoRestores,
    DynamoTurns,
    KmsSigner,
    S3Archive,
    S3Scratch,
    SecretsManager,
)
from holdfast.adapters.neon.http import BASE
from holdfast.adapters.providers import Providers, Second
from holdfast.configuration import Configuration, Database, load
from holdfast.errors import BadConfiguration, BadRequest, UnknownDatabase, UnknownPoint
from holdfast.model.points import database_of
from holdfast_cli.errors import SystemUnreachable
from holdfast_cli.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

    from holdfast_local.system import LocalSystem

CONFIGURATION_FILE = "holdfast.toml"
LOOK_EVERY_AWS = 2.0
LOOK_EVERY_LOCAL = 0.3


@dataclass(frozen=True)
class Place:
    """Where a system runs: AWS with boto3's usual credentials, or an endpoint of this machine with its own."""

    region: str
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    account: str | None = None


class System:
    """What the command needs of one deployed system; every client is made when it is first used."""

    def __init__(self, configuration: Configuration, place: Place) -> None:
        self.configuration = configuration
        self.place = place
        self.name = configuration.holdfast.name

    def in_region(self, region: str) -> System:
        """Return the same system in *region*, one of its two; raises `BadRequest` for any other."""
        own = self.configuration.holdfast
        known = [each for each in (own.region or self.place.region, own.second_region) if each]
        if region not in known:
            raise BadRequest(f"{self.name} is not in {region}.", hint=f"It is in {' and in '.join(known)}.")
        return System(self.configuration, replace(self.place, region=region))

    @property
    def local(self) -> bool:
        """Whether the system runs on this machine."""
        return self.place.endpoint is not None

    @property
    def look_every(self) -> float:
        """Return the seconds between two looks at a run: AWS counts them, this machine does not."""
        return LOOK_EVERY_LOCAL if self.local else LOOK_EVERY_AWS

    def database(self, name: str) -> Database:
        """Return the database's configuration; raises `UnknownDatabase` with what may have been meant."""
        known = self.configuration.databases
        if name in known:
            return known[name]
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else _listed(sorted(known))
        raise UnknownDatabase(f"There is no database {name!r} in the configuration of {self.name}.", hint=hint)

    def machine(self, workflow: str, network: str | None = None) -> str:
        """Return the ARN of a state machine; backup and restore have one per network."""
        name = f"{self.name}-{workflow}" + (f"-{network}" if network else "")
        return f"arn:{self._partition}:states:{self.place.region}:{self._account}:stateMachine:{name}"

    def machines(self) -> list[str]:
        """Return the ARNs of every state machine that the configuration makes."""
        found = self.configuration
        networks = sorted(
            {each.network for each in found.databases.values()} | {each.network for each in found.targets.values()}
        )
        pairs = [self.machine(workflow, network) for workflow in ("backup", "restore") for network in networks]
        return [
            *pairs,
            *map(self.machine, ("verify", "collect", "prune", "protect", "capture", "sweep", "rebuild", "replication")),
        ]

    @cached_property
    def runs(self) -> Runs:
        """Return the executions."""
        return Runs(self.client("stepfunctions"))

    @cached_property
    def points(self) -> DynamoPoints:
        """Return the recovery points."""
        return DynamoPoints(self.client("dynamodb"), self.output("CatalogueTable"))

    @cached_property
    def holds(self) -> DynamoHolds:
        """Return the snapshots that running backups hold."""
        return DynamoHolds(self.client("dynamodb"), self.output("CatalogueTable"))

    @cached_property
    def restores(self) -> DynamoRestores:
        """Return the restores."""
        return DynamoRestores(self.client("dynamodb"), self.output("CatalogueTable"))

    @cached_property
    def archive(self) -> S3Archive:
        """Return the archive bucket."""
        return S3Archive(self.client("s3"), self.output("ArchiveBucket"))

    @cached_property
    def scratch(self) -> S3Scratch:
        """Return the scratch bucket."""
        return S3Scratch(self.client("s3"), self.output("ScratchBucket"))

    @cached_property
    def signer(self) -> KmsSigner:
        """Return the key that sealed the archives; people may ask for its public half alone."""
        former = self.configuration.holdfast.former_sealing_keys
        return KmsSigner(self.client("kms"), self.output("SigningKey"), former=former)

    @cached_property
    def providers(self) -> Providers:
        """Return whoever runs the databases, asked with the caller's own rights."""
        second = self.configuration.holdfast.second_region
        return Providers(
            _Region(self, self.place.region),
            SecretsManager(self.client("secretsmanager")),
            now=lambda: datetime.now(UTC),
            sleep=time.sleep,
            neon=os.environ.get("HOLDFAST_NEON_ENDPOINT") or BASE,
            second=Second(_Region(self, second), f"alias/{self.name}/data") if second else None,
            turns=DynamoTurns(self.client("dynamodb"), self.output("CatalogueTable"), now=lambda: datetime.now(UTC)),
        )

    def output(self, key: str) -> str:
        """Return an output of the storage stack; raises `SystemUnreachable` when it is not there."""
        if key not in self._outputs:
            raise SystemUnreachable(f"The stack {self.name}-storage says nothing about {key}.", hint="Deploy it again.")
        return self._outputs[key]

    def client(self, service: str, region: str | None = None) -> Any:
        """
        Return a client that gives up within seconds rather than minutes.

        boto3 is imported here: it takes half a second, which help and mistyped options need not wait for.
        """
        import boto3
        from botocore.config import Config

        place = self.place
        session = boto3.session.Session(
            region_name=region or place.region,
            aws_access_key_id=place.access_key,
            aws_secret_access_key=place.secret_key,
        )
        limits: dict[str, Any] = {
            "connect_timeout": 5,
            "read_timeout": 60,
            "retries": {"total_max_attempts": 4, "mode": "standard"},
        }
        if self.local:
            limits |= {"s3": {"addressing_style": "path"}, "inject_host_prefix": False}
        endpoint = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") if self.local else None
        return session.client(service, endpoint_url=endpoint or place.endpoint, config=Config(**limits))  # type: ignore[call-overload]

    @cached_property
    def _outputs(self) -> dict[str, str]:
        client, stack = self.client("cloudformation"), f"{self.name}-storage"
        try:
            (found,) = client.describe_stacks(StackName=stack)["Stacks"]
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise SystemUnreachable(
                f"Nothing is deployed as {self.name} in {self.place.region}: there is no stack {stack}.",
                hint="Deploy it, or correct `name` and `region` in holdfast.toml.",
            ) from error
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    @cached_property
    def _identity(self) -> str:
        return str(self.client("sts").get_caller_identity()["Arn"])

    @property
    def _account(self) -> str:
        return self.place.account or self._identity.split(":")[4]

    @property
    def _partition(self) -> str:
        import boto3

        return boto3.session.Session().get_partition_for_region(self.place.region)


class _Region:
    """Clients of one region with the system's limits."""

    def __init__(self, system: System, region: str) -> None:
        self._system, self._name = system, region

    @cached_property
    def rds(self) -> RDSClient:
        """Return the client for instances, clusters and their snapshots."""
        found: RDSClient = self._system.client("rds", self._name)
        return found


def database_of_point(point: str) -> str:
    """Return the database that the id *point* names; raises `UnknownPoint`, for what is no id is no point's either."""
    try:
        return database_of(point)
    except BadRequest as error:
        raise UnknownPoint(error.message, hint=error.hint) from error


def in_aws(path: Path | None) -> System:
    """Return the system that the configuration at *path*, or `holdfast.toml` here, was deployed from."""
    file = path or Path(CONFIGURATION_FILE)
    if path is None and not file.is_file():
        raise BadConfiguration(
            f"There is no {CONFIGURATION_FILE} in this directory.",
            hint="Give it with --config, or say --local for the system on this machine.",
        )
    configuration = load(file)
    return System(configuration, Place(region=configuration.region, account=configuration.holdfast.account))


def on_this_machine(path: Path | None, state: Path | None = None) -> System:
    """Return the local system that keeps its state in *state*, or else the one of this directory or one above it."""
    from holdfast_local import system as local

    found = local.require(state) if state else local.find(path.parent if path else Path.cwd())
    return connected(found, path)


def connected(found: LocalSystem, path: Path | None = None) -> System:
    """Return the local system *found*, with the configuration at *path* or the one that it runs with."""
    place = Place(
        region=found.region,
        endpoint=found.endpoint,
        access_key=found.access_key,
        secret_key=found.secret_key,
        account=found.account,
    )
    return System(load(path or found.configuration), place)


def _listed(names: list[str]) -> str:
    return f"Known are {', '.join(names)}." if names else "It names no database yet."
