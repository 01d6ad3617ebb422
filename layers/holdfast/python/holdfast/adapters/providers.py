"""Which adapter speaks to the provider of a database: from the configuration and the secrets that it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from holdfast.adapters.aws import Clients
from holdfast.adapters.aws.rds import AuroraCluster, RdsInstance
from holdfast.adapters.neon import Neon
from holdfast.adapters.neon.http import BASE
from holdfast.adapters.postgres.parameters import ConnectionParameters
from holdfast.configuration import Database
from holdfast.errors import BadConfiguration
from holdfast.ports.providers import Provider
from holdfast.ports.secrets import Secrets


class Providers:
    """The providers of one process; keys are read anew each time, for somebody may have replaced them."""

    def __init__(
        self,
        clients: Clients,
        secrets: Secrets,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        neon: str = BASE,
    ) -> None:
        self._clients, self._secrets, self._now, self._sleep, self._neon = clients, secrets, now, sleep, neon

    def of(self, database: Database, parameters: ConnectionParameters | None = None) -> Provider:
        """
        Return what runs *database*.

        *parameters*, those of its secret, are needed only for logins to its copies at Neon. Raises `BadConfiguration`
        when nothing says which thing at its provider it is.
        """
        if database.rds:
            return RdsInstance(self._clients.rds, database.rds.instance, now=self._now)
        if database.aurora:
            return AuroraCluster(self._clients.rds, database.aurora.cluster, now=self._now)
        if database.neon:
            return Neon(
                key=key_of(self._secrets.read(database.neon.api_key), database.neon.api_key),
                project_id=database.neon.project,
                branch_id=database.neon.branch,
                database=parameters.dbname if parameters else "",
                role=parameters.user if parameters else "",
                sleep=self._sleep,
                now=self._now,
                base=self._neon,
            )
        raise BadConfiguration(
            f"Nothing says which thing at its provider {database.name} is.",
            hint=database.fallback or "Only rds, aurora, neon and vercel have history, snapshots and copies.",
        )


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
