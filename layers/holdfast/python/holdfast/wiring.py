"""Which adapters stand behind the ports, built from a function's settings when they are first asked for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache, cached_property
from typing import TYPE_CHECKING, TypeVar

from holdfast import configuration as configurations
from holdfast.adapters import aws
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.configuration import Configuration, Database, Target
from holdfast.errors import BadConfiguration, BadRequest, UnknownDatabase, UnknownPoint
from holdfast.ports.catalogue import Holds, Points, Restores
from holdfast.ports.executions import Executions
from holdfast.ports.keys import DigestKeys, Signer
from holdfast.ports.secrets import Secrets
from holdfast.ports.storage import Archive, LegalHolds, Scratch, Versions
from holdfast.ports.turns import Turns
from holdfast.ports.vault import Vault
from holdfast.settings import Settings
from holdfast.usecases.retention.removing import Place, Snapshots
from holdfast.usecases.snapshot.protected import Protected

if TYPE_CHECKING:
    from holdfast.adapters.providers import Providers, Second

Found = TypeVar("Found")


class Wiring:
    """
    The ports of one process.

    A function asks for what it needs; what it does not ask for is neither built nor required of its
    environment. Clients live as long as the process, so that warm invocations share connections.
    """

    def __init__(
        self, settings: Settings, *, configured: Callable[[], Configuration] = configurations.deployed
    ) -> None:
        self.settings = settings
        self._configured = configured

    @classmethod
    def from_environment(cls, kind: type[Settings] = Settings) -> Wiring:
        """Return the wiring of this process; raises `BadConfiguration` for a wrong environment of *kind*."""
        return _of_process(kind.read(os.environ))

    @cached_property
    def configuration(self) -> Configuration:
        """Return what the system was deployed with."""
        return self._configured()

    def database(self, name: str) -> Database:
        """Return the database *name*; raises `UnknownDatabase` with those that it may be."""
        try:
            return _named(name, self.configuration.databases, "database")
        except _NotNamed as error:
            raise UnknownDatabase(str(error), hint=error.hint, database=name) from None

    def target(self, name: str) -> Target:
        """Return the target *name*; raises `BadRequest` with those that it may be."""
        try:
            return _named(name, self.configuration.targets, "target")
        except _NotNamed as error:
            raise BadRequest(str(error), hint=error.hint) from None

    def parameters(self, place: Database | Target) -> ConnectionParameters:
        """Return how to reach a database or target now; the secret is read each time, it may have been rotated."""
        return ConnectionParameters.from_secret(self.secrets.read(place.secret))

    def protected(self, name: str, point_id: str) -> Protected:
        """
        Return the database *name* as the backup of a point sees it: live, or the copy that was frozen for the point.

        Raises what `database` and `parameters` raise.
        """
        database, point = self.database(name), None
        with suppress(UnknownPoint):  # it is about to be created
            point = self.points.get(point_id)
        if point is None or not point.copy_secret:
            return Protected.of(database, self.parameters(database))
        parameters = ConnectionParameters.from_secret(self.secrets.read(point.copy_secret))
        return Protected.of(database, parameters, frozen_at=point.copied_at)

    @cached_property
    def archive(self) -> Archive:
        """Return the locked bucket."""
        return aws.S3Archive(self._clients.s3, self._setting("archive_bucket"))

    @cached_property
    def versions(self) -> Versions:
        """Return every version in the locked bucket."""
        return aws.S3Versions(self._clients.s3, self._setting("archive_bucket"))

    @cached_property
    def replica(self) -> Archive:
        """Return the archive's copy in the second region; raises `BadConfiguration` where there is none."""
        return aws.S3Archive(self._second_clients.s3, self._setting("replica_bucket"))

    @cached_property
    def replica_versions(self) -> Versions:
        """Return every version in the second region's copy; raises `BadConfiguration` where there is none."""
        return aws.S3Versions(self._second_clients.s3, self._setting("replica_bucket"))

    @cached_property
    def places(self) -> list[Place]:
        """Return every bucket that holds objects of points: the archive, then its replica where there is one."""
        replica = [Place("replica", self.replica_versions)] if self.settings.replica_bucket else []
        return [Place("archive", self.versions), *replica]

    @cached_property
    def legal_holds(self) -> list[LegalHolds]:
        """Return where legal holds are set: on the archive, then on its replica where there is one."""
        first = aws.S3Versions(self._clients.s3, self._setting("archive_bucket"))
        second = [aws.S3Versions(self._second_clients.s3, name)] if (name := self.settings.replica_bucket) else []
        return [first, *second]

    @cached_property
    def scratch(self) -> Scratch:
        """Return the bucket of plans and progress."""
        return aws.S3Scratch(self._clients.s3, self._setting("scratch_bucket"))

    @cached_property
    def points(self) -> Points:
        """Return the catalogue's recovery points."""
        return aws.DynamoPoints(self._clients.dynamodb, self._setting("catalogue_table"))

    @cached_property
    def holds(self) -> Holds:
        """Return the catalogue's published snapshots."""
        return aws.DynamoHolds(self._clients.dynamodb, self._setting("catalogue_table"))

    @cached_property
    def restores(self) -> Restores:
        """Return the catalogue's restores."""
        return aws.DynamoRestores(self._clients.dynamodb, self._setting("catalogue_table"))

    @cached_property
    def signer(self) -> Signer:
        """Return the sealing key."""
        former = self.configuration.holdfast.former_sealing_keys
        return aws.KmsSigner(self._clients.kms, self._setting("signing_key"), former=former)

    @cached_property
    def digest_keys(self) -> DigestKeys:
        """Return the base of content digests."""
        return aws.KmsDigestKeys(self._clients.kms, self._setting("digest_key"))

    @cached_property
    def secrets(self) -> Secrets:
        """Return where connection parameters come from."""
        return aws.SecretsManager(self._clients.secrets_manager)

    @cached_property
    def providers(self) -> Providers:
        """
        Return whoever runs the databases.

        What speaks to them takes a tenth of a second to load; most functions never ask.
        """
        from holdfast.adapters.neon.http import BASE
        from holdfast.adapters.providers import Providers

        return Providers(
            self._clients,
            self.secrets,
            now=lambda: datetime.now(UTC),
            sleep=time.sleep,
            neon=self.settings.neon_endpoint or BASE,
            second=self._second_of_snapshots(),
            turns=self._turns(),
        )

    def snapshots(self, database: Database) -> Snapshots | None:
        """Return who keeps snapshots and history of *database*; None where nothing says whom to ask."""
        return self.providers.of(database) if database.at_provider else None

    @cached_property
    def vault(self) -> Vault:
        """Return where logins to copies are kept."""
        return aws.SecretsManagerVault(self._clients.secrets_manager, self.configuration.holdfast.name)

    @cached_property
    def executions(self) -> Executions:
        """Return the state machines' executions."""
        return aws.StepFunctionsExecutions(self._clients.step_functions)

    def _second_of_snapshots(self) -> Second | None:
        """Return where snapshots are copied to; nothing where there is no second region, or the process is there."""
        system = self.configuration.holdfast
        if system.second_region is None or system.second_region == self._clients.rds.meta.region_name:
            return None
        from holdfast.adapters.providers import Second

        return Second(self._second_clients, f"alias/{system.name}/data")

    def _turns(self) -> Turns | None:
        table = self.settings.catalogue_table
        return aws.DynamoTurns(self._clients.dynamodb, table, now=lambda: datetime.now(UTC)) if table else None

    @cached_property
    def _clients(self) -> aws.Clients:
        return aws.Clients()

    @cached_property
    def _second_clients(self) -> aws.Clients:
        return aws.Clients(self.configuration.holdfast.second_region)

    def _setting(self, name: str) -> str:
        """Return a setting that is needed now; raises `BadConfiguration` naming its variable."""
        value: str | None = getattr(self.settings, name)
        if value is None:
            raise BadConfiguration(
                f"The function's environment is wrong: {Settings.variable(name)} is missing.",
                hint="Deploy the system again; its app sets these variables.",
            )
        return value


@cache
def _of_process(settings: Settings) -> Wiring:
    """Return one wiring for equal settings, however often a warm function asks."""
    return Wiring(settings)


class _NotNamed(LookupError):
    """Nothing has this name; never leaves this module."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.hint = hint


def _named(name: str, known: Mapping[str, Found], kind: str) -> Found:
    """Return what *known* has under *name*, or raise with the nearest names and all of them."""
    if name in known:
        return known[name]
    close = get_close_matches(name, known, n=3)
    meant = f"Did you mean {' or '.join(close)}? " if close else ""
    listed = f"Known are {', '.join(sorted(known))}." if known else f"No {kind} is configured."
    raise _NotNamed(f"There is no {kind} {name!r}.", f"{meant}{listed}")
