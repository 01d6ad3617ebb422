"""Which adapter speaks to the provider of a database: from the configuration and the secrets that it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from holdfast.adapters.aws.rds import AuroraCluster, Elsewhere, RdsInstance
from holdfast.adapters.neon import Neon
from holdfast.adapters.neon.http import BASE
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.adapters.vercel import VercelProject
from holdfast.configuration import Database
from holdfast.errors import BadConfiguration
from holdfast.ports.applications import Application
from holdfast.ports.providers import Provider
from holdfast.ports.secrets import Secrets
from holdfast.ports.turns import Turns

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient


class HasRds(Protocol):
    """Clients of one region."""

    @property
    def rds(self) -> RDSClient:
        """Return the client for instances, clusters and their snapshots."""


@dataclass(frozen=True, slots=True)
class Second:
    """The second region: its *clients*, and the KMS *key* there (an alias) that copies of snapshots are made with."""

    clients: HasRds
    key: str


class Providers:
    """
    The providers of one process; keys are read anew each time, for somebody may have replaced them.

    Without *turns* the process is the only one that changes anything, as on one machine.
    """

    def __init__(
        self,
        clients: HasRds,
        secrets: Secrets,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        neon: str = BASE,
        second: Second | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._clients, self._secrets, self._now, self._sleep, self._neon = clients, secrets, now, sleep, neon
        self._second, self._turns = second, turns

    def of(self, database: Database, parameters: ConnectionParameters | None = None) -> Provider:
        """
        Return what runs *database*.

        *parameters*, those of its secret, are needed only for logins to its copies at Neon. Raises `BadConfiguration`
        when nothing says which thing at its provider it is.
        """
        if database.rds:
            return RdsInstance(self._clients.rds, database.rds.instance, second=self._elsewhere())
        if database.aurora:
            return AuroraCluster(self._clients.rds, database.aurora.cluster, second=self._elsewhere())
        if database.neon:
            return Neon(
                key=key_of(self._secrets.read(database.neon.api_key), database.neon.api_key),
                project_id=database.neon.project,
                branch=database.neon.branch or "",
                database=parameters.dbname if parameters else "",
                role=parameters.user if parameters else "",
                sleep=self._sleep,
                now=self._now,
                base=self._neon,
                turn=self._turn_of(f"neon/{database.neon.project}"),
            )
        raise BadConfiguration(
            f"Nothing says which thing at its provider {database.name} is.",
            hint=database.fallback or "Only rds, aurora, neon and vercel have history, snapshots and copies.",
        )

    def application_of(self, database: Database) -> Application | None:
        """Return the application that uses *database*, where the configuration names one; it is one of Vercel's."""
        if database.vercel is None:
            return None
        return VercelProject(
            key=key_of(self._secrets.read(database.vercel.token), database.vercel.token),
            project=database.vercel.project,
            team=database.vercel.team or "",
            sleep=self._sleep,
            now=self._now,
        )

    def _elsewhere(self) -> Elsewhere | None:
        return Elsewhere(self._second.clients.rds, self._second.key) if self._second else None

    def _turn_of(self, thing: str) -> Callable[[], AbstractContextManager[None]]:
        turns = self._turns
        return nullcontext if turns is None else lambda: turns.turn(thing)


def key_of(text: str, name: str) -> str:
    """
    Return the key to an API from the *text* of the secret *name*: the key itself, or JSON with `api_key`.

    Raises `BadConfiguration`, which quotes nothing of it.
    """
    text = text.strip()
    if text.startswith("{"):
        try:
            text = str(json.loads(text)["api_key"]).strip()
        except (ValueError, KeyError):
            text = ""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise BadConfiguration(f"The secret {name} has no API key.", hint="Store the key alone as its text.")
    return text
