"""Which thing at its provider a database is: the tables `[databases.NAME.rds]`, `.aurora`, `.neon` and `.vercel`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from holdfast.configuration import rules
from holdfast.configuration.section import Section

SecretName = Annotated[str, AfterValidator(rules.secret_name)]
Variable = Annotated[str, AfterValidator(rules.variable_name)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")]
NeonId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,59}$")]
VercelId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class Provider(StrEnum):
    """Who runs a database."""

    RDS = "rds"
    AURORA = "aurora"
    NEON = "neon"
    VERCEL = "vercel"
    POSTGRES = "postgres"


NEEDED = {Provider.RDS: "rds", Provider.AURORA: "aurora", Provider.NEON: "neon", Provider.VERCEL: "neon"}
"""The table that names a database at its provider."""
_TAKEN = {**{provider: (table,) for provider, table in NEEDED.items()}, Provider.VERCEL: ("neon", "vercel")}
TABLES = ("rds", "aurora", "neon", "vercel")


class RdsPlace(Section):
    """`[databases.NAME.rds]`: the identifier of the instance."""

    instance: Identifier


class AuroraPlace(Section):
    """`[databases.NAME.aurora]`: the identifier of the cluster."""

    cluster: Identifier


class NeonPlace(Section):
    """
    `[databases.NAME.neon]`: a branch (its id or name, else the default) of a project, and the secret with the API key.

    The key should be one of this project only. *api_key_env* names an environment variable with it, which only the
    local system reads.
    """

    project: NeonId
    branch: NeonId | None = None
    api_key: SecretName = ""
    api_key_env: Variable | None = None


class VercelPlace(Section):
    """`[databases.NAME.vercel]`: the project that uses the database, its team, and the secret with the access token."""

    project: VercelId
    team: VercelId | None = None
    token: SecretName = ""


def names_its_place(database: Mapping[str, Any]) -> bool:
    """Answer whether the table of a *database*, as the file has it, says which thing at its provider it is."""
    return bool(database.get(NEEDED.get(database.get("provider", ""), "")))


def misplaced(provider: Provider, given: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the table that a database of *provider* has for nothing, with the end of a sentence; or nothing."""
    for table in TABLES:
        if given.get(table) and table not in _TAKEN.get(provider, ()):
            return table, f"does not belong to a database of {provider.value}; remove it, or correct provider"
    if given.get("vercel") and not given.get("neon"):
        return "vercel", "is not enough: its database is one of Neon's; add the table neon with its project"
    return None
