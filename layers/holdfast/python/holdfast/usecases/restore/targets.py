"""Which server a restore writes to, and who may be one."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from holdfast.adapters.postgres.checks import refuse_pooled_host, refuse_pooler
from holdfast.adapters.postgres.connect import Connection, ConnectionParameters, connect
from holdfast.adapters.postgres.sending import refused
from holdfast.configuration import Configuration, Database
from holdfast.contracts.restoring import RestorePlan
from holdfast.errors import BadConfiguration, BadRequest, UnknownDatabase
from holdfast.ports.secrets import Secrets

_MAINTENANCE = ("postgres", "template1")


@dataclass(frozen=True, slots=True)
class Place:
    """The target's server: the secret that has its parameters, and its name for people."""

    secret: str
    own_server: bool
    parameters: ConnectionParameters

    def __str__(self) -> str:
        """Return host and port."""
        return f"{self.parameters.host}:{self.parameters.port}"


def configured_database(configuration: Configuration, name: str) -> Database:
    """Return the database *name*; raises `UnknownDatabase` with those that there are."""
    found = configuration.databases.get(name)
    if found is None:
        known = ", ".join(sorted(configuration.databases)) or "none"
        raise UnknownDatabase(f"There is no database {name!r}.", hint=f"Known are: {known}.", database=name)
    return found


def place_of(configuration: Configuration, secrets: Secrets, database: Database, target: str | None) -> Place:
    """
    Return the server to restore to: the database's own, or the one that the secret or target *target* names.

    Only secrets of targets may be named: a restore has no business in another database's secret. Raises
    `BadRequest`, `BadConfiguration`, `PooledEndpoint`.
    """
    secret = database.secret if target is None else _target_secret(configuration, target)
    parameters = ConnectionParameters.from_secret(secrets.read(secret))
    refuse_pooled_host(parameters)
    return Place(secret, target is None, parameters)


def connect_to_server(place: Place, *, application_name: str) -> Connection:
    """
    Connect to a database of the server that is not the one to restore, which may be gone.

    Raises our errors; `PooledEndpoint` when a pooler answers.
    """
    names = [*_MAINTENANCE, place.parameters.dbname]
    for name in names:
        parameters = place.parameters.with_database(name)
        try:
            connection = connect(parameters, application_name=application_name)
        except BadConfiguration:
            if name == names[-1]:
                raise
            continue
        try:
            refuse_pooler(connection, parameters)
        except psycopg.Error as error:
            connection.close()
            raise refused(error, doing="looking at the target") from error
        except BaseException:
            connection.close()
            raise
        return connection
    raise BadConfiguration("The target's server has no database to connect to.")


def _target_secret(configuration: Configuration, target: str) -> str:
    for name, known in configuration.targets.items():
        if target in {name, known.secret}:
            return known.secret
    prefix = f"{configuration.holdfast.name}/target/"
    if target.startswith(prefix) and len(target) > len(prefix):
        return target
    known_targets = ", ".join(sorted(configuration.targets)) or "none is configured"
    raise BadRequest(
        f"{target!r} is no secret of a target.",
        hint=f"Name a target of holdfast.toml ({known_targets}) or a secret that begins with {prefix}.",
    )


def place_from(plan: RestorePlan, secrets: Secrets) -> Place:
    """Return the place that was assessed; its secret is read again, it may have been rotated."""
    return Place(plan.secret, plan.own_server, ConnectionParameters.from_secret(secrets.read(plan.secret)))
