"""The shape of `holdfast.toml`: frozen models that refuse keys they do not know."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from holdfast.configuration import rules, tiers
from holdfast.configuration.places import (
    NEEDED,
    AuroraPlace,
    NeonPlace,
    Provider,
    RdsPlace,
    SecretName,
    VercelPlace,
    misplaced,
)
from holdfast.configuration.section import Section
from holdfast.configuration.tiers import Tiers, TimeZone
from holdfast.contracts.selection import Selection
from holdfast.errors import BadConfiguration
from holdfast.model.points import Mechanism, Tier

INTERNET = rules.INTERNET

SystemName = Annotated[str, AfterValidator(rules.system_name)]
DatabaseName = Annotated[str, AfterValidator(rules.database_name)]
NetworkName = Annotated[str, AfterValidator(rules.network_name)]
TargetName = Annotated[str, AfterValidator(rules.database_name)]
NetworkReference = Annotated[str, AfterValidator(rules.known_network)]
PublicKey = Annotated[str, AfterValidator(rules.public_key)]
Variable = Annotated[str, AfterValidator(rules.variable_name)]
Expectation = Annotated[
    str,
    Field(max_length=1_000),
    BeforeValidator(rules.as_text, json_schema_input_type=str | bool | int | float),
]
SchemaPattern = Annotated[str, AfterValidator(rules.schemas)]
TablePattern = Annotated[str, AfterValidator(rules.tables)]
Memory = Annotated[int, Field(ge=128, le=10_240, strict=True)]


_REGION = r"^[a-z]{2}(-[a-z]+)+-\d$"
_SECOND = ("holdfast", "second_region")
LOCAL_REGION = "eu-central-1"
"""Where the local system pretends to be when the configuration names no region."""


class System(Section):
    """
    `[holdfast]`: the system's name (the prefix of everything that it creates), regions and account.

    AWS needs a region, so that data never lands in one that nobody chose; the local system does not. Everything in the
    archive is copied to *second_region*, where the same system waits with its schedules off.
    """

    name: SystemName = "holdfast"
    region: str | None = Field(default=None, pattern=_REGION)
    second_region: str | None = Field(default=None, pattern=_REGION)
    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    former_sealing_keys: tuple[PublicKey, ...] = ()

    @model_validator(mode="after")
    def _regions_differ(self) -> Self:
        if self.second_region and self.second_region == self.region:
            sentence = f"is {self.second_region} like region; a second region must be another one, or left out"
            raise _elsewhere(sentence, *_SECOND)
        if self.second_region and not self.region:
            sentence = "needs region; choose both, so that no copy lands where nobody chose"
            raise _elsewhere(sentence, *_SECOND)
        return self


class Network(Section):
    """
    `[networks.NAME]`: a VPC from which databases are reached.

    Subnets correspond to availability zones, one each, in order. With *endpoints* the app creates the VPC
    endpoints that functions need; *route_table_ids* are then those that get the gateway endpoints.
    """

    vpc_id: str = Field(pattern=r"^vpc-[0-9a-f]{8,17}$")
    availability_zones: tuple[str, ...] = Field(min_length=1)
    subnet_ids: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...] = Field(min_length=1)
    security_group_ids: tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8,17}$")], ...] = ()
    route_table_ids: tuple[Annotated[str, Field(pattern=r"^rtb-[0-9a-f]{8,17}$")], ...] = ()
    endpoints: bool = Field(default=True, strict=True)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if len(self.subnet_ids) != len(self.availability_zones):
            raise ValueError(
                f"{len(self.availability_zones)} availability_zones and {len(self.subnet_ids)} subnet_ids do not "
                "match; list one subnet for each zone, in the same order"
            )
        if self.endpoints and not self.route_table_ids:
            raise ValueError(
                "has endpoints but no route_table_ids; list the route tables of its subnets, "
                "or set endpoints = false where S3 and DynamoDB are reachable already"
            )
        return self


class Check(Section):
    """`[[databases.NAME.checks]]`: a query whose first value, as text, must be *expect* on a restored database."""

    name: str = Field(min_length=1, max_length=100)
    sql: str = Field(min_length=1, max_length=10_000)
    expect: Expectation


Pause = Annotated[int, Field(ge=1, le=3600, strict=True)]


class Database(Section):
    """
    `[databases.NAME]`: one protected database.

    Its connection parameters are in *secret*; *url_env* names an environment variable with a connection
    URL, which only the local system reads. *concurrency* is how many connections copy rows at
    once; without it, as many as the server has room for. *standby* lets the server be a standby.
    The lists of patterns say what of it is backed up. With the *source* `copy`, archives are taken of a copy that
    the provider freezes, not of the live database; *rds*, *aurora*, *neon* or *vercel* say which thing at the
    provider it is. A backup gives way to a session that has waited behind it for *yield_after_seconds*, and begins
    anew after each of the *yield_pauses_seconds*.
    """

    name: SkipJsonSchema[str] = ""
    provider: Provider
    secret: SecretName = ""
    url_env: Variable | None = None
    network: NetworkReference = INTERNET
    timezone: TimeZone = "UTC"
    source: Literal["live", "copy"] = "live"
    rds: RdsPlace | None = None
    aurora: AuroraPlace | None = None
    neon: NeonPlace | None = None
    vercel: VercelPlace | None = None
    standby: bool = Field(default=False, strict=True)
    concurrency: int | None = Field(default=None, ge=1, le=100, strict=True)
    yield_after_seconds: int = Field(default=5, ge=1, le=3600, strict=True)
    yield_pauses_seconds: tuple[Pause, ...] = Field(default=(60, 600), max_length=9)
    tiers: Tiers
    include_schemas: tuple[SchemaPattern, ...] = ()
    exclude_schemas: tuple[SchemaPattern, ...] = ()
    include_tables: tuple[TablePattern, ...] = ()
    exclude_tables: tuple[TablePattern, ...] = ()
    exclude_rows: tuple[TablePattern, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def selection(self) -> Selection:
        """Return what of the database is backed up."""
        return Selection(**{key: getattr(self, key) for key in Selection.model_fields})

    @model_validator(mode="before")
    @classmethod
    def _complete_tiers(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("tiers", {}), dict):
            return data
        return {**data, "tiers": tiers.complete(data.get("tiers", {}), data)}

    @model_validator(mode="after")
    def _provider_can(self) -> Self:
        places = {"rds": self.rds, "aurora": self.aurora, "neon": self.neon, "vercel": self.vercel}
        if fault := misplaced(self.provider, places):
            raise _elsewhere(fault[1], "databases", self.name, fault[0])
        if self.source == "copy" and not self.at_provider:
            raise _elsewhere(f"'copy' {self._needs()}", "databases", self.name, "source")
        for tier, plan in self.tiers.all():
            where = ("databases", self.name, "tiers", tier.value, "mechanism")
            if plan.mechanism is not Mechanism.ARCHIVE and not self.at_provider:
                raise _elsewhere(f"'{plan.mechanism}' {self._needs()}", *where)
            if tier is Tier.HOURLY and plan.mechanism is Mechanism.SNAPSHOT:
                raise _elsewhere("'snapshot' is for a day or longer; choose history or archive", *where)
        return self

    def _needs(self) -> str:
        """Return the end of a sentence about what only a provider can do."""
        if self.provider is Provider.POSTGRES:
            return "is for rds, aurora, neon and vercel: nobody else could be asked for it"
        return f"needs [databases.{self.name}.{NEEDED[self.provider]}], which says what to ask {self.provider} for"

    @property
    def at_provider(self) -> bool:
        """Whether Holdfast knows which thing at its provider the database is, and so can use what that offers."""
        return getattr(self, NEEDED.get(self.provider, ""), None) is not None

    @property
    def fallback(self) -> str:
        """Return, in a sentence, why points are archives although the provider offers more; "" when it is used."""
        if self.at_provider or self.provider is Provider.POSTGRES:
            return ""
        return (
            f"All points of {self.name} are archives: [databases.{self.name}.{NEEDED[self.provider]}] would name it at "
            f"{self.provider.value}, whose history and snapshots could be used then."
        )


class Target(Section):
    """`[targets.NAME]`: another server that databases may be restored to."""

    name: SkipJsonSchema[str] = ""
    secret: SecretName = ""
    url_env: Variable | None = None
    network: NetworkReference = INTERNET


class Functions(Section):
    """`[functions]`: memory (MB, which also sets the share of a CPU), time and architecture of the functions."""

    memory_mb: Memory = 1769
    dump_memory_mb: Memory = 3008
    timeout_seconds: int = Field(default=900, ge=60, le=900, strict=True)
    architecture: Literal["arm64", "x86_64"] = "arm64"
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1827, 3653] = 90


class Archiving(Section):
    """`[archive]`: *lock_days* is the locked bucket's default retention, at most the shortest tier's."""

    lock_days: int = Field(default=7, ge=1, le=36_500, strict=True)


class Monitoring(Section):
    """`[monitoring]`: who is told when something is wrong."""

    emails: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = ()


class Configuration(Section):
    """
    The whole of `holdfast.toml`, complete: names and secrets' names are filled in.

    Built by `holdfast.configuration.load` or `parse`, which also check references between tables.
    """

    holdfast: System = System()
    networks: dict[NetworkName, Network] = Field(default_factory=dict)
    databases: dict[DatabaseName, Database] = Field(default_factory=dict)
    targets: dict[TargetName, Target] = Field(default_factory=dict)
    functions: Functions = Functions()
    archive: Archiving = Archiving()
    monitoring: Monitoring = Monitoring()

    @model_validator(mode="before")
    @classmethod
    def _complete_names(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        system = data.get("holdfast")
        prefix = system.get("name", "holdfast") if isinstance(system, dict) else "holdfast"
        named = {"databases": f"{prefix}/", "targets": f"{prefix}/target/"}
        return data | {key: _named(data[key], before) for key, before in named.items() if key in data}

    @model_validator(mode="after")
    def _locks_end_before_tiers(self) -> Self:
        for name, database in self.databases.items():
            for tier, plan in database.tiers.enabled():
                if plan.mechanism is Mechanism.ARCHIVE and plan.keep_days < self.archive.lock_days:
                    raise _elsewhere(
                        f"is {self.archive.lock_days}, longer than databases.{name}.tiers.{tier} is kept "
                        f"({plan.keep_days} days); lower it, or keep that tier longer",
                        *("archive", "lock_days"),
                    )
        return self

    @property
    def region(self) -> str:
        """Return the region of stacks and buckets; raises `BadConfiguration` when none is chosen."""
        if self.holdfast.region is None:
            raise BadConfiguration(
                "holdfast.region is missing in the configuration.",
                hint='Choose the AWS region of stacks and buckets, for example `[holdfast] region = "eu-central-1"`.',
            )
        return self.holdfast.region

    def on_this_machine(self) -> Self:
        """Return the configuration as the local system takes it: any region does there."""
        if self.holdfast.region:
            return self
        return self.model_copy(update={"holdfast": self.holdfast.model_copy(update={"region": LOCAL_REGION})})

    def document(self) -> str:
        """Return the normalised JSON for the functions, the same for the same content; what is local is left out."""
        without: Any = {
            "databases": {"__all__": {"url_env": True, "neon": {"api_key_env"}}},
            "targets": {"__all__": {"url_env"}},
        }
        return self.model_dump_json(exclude=without, indent=2) + "\n"

    @classmethod
    def parse(cls, document: str) -> Configuration:
        """Return the configuration that a normalised *document* holds; raises `BadConfiguration`."""
        from holdfast.configuration.reading import parse

        return parse(document)


def _elsewhere(sentence: str, *path: str) -> PydanticCustomError:
    """Return a fault that is told of the key at *path*, wherever it was found."""
    return PydanticCustomError("elsewhere", "{sentence}", {"sentence": sentence, "path": path})


_KEYS = {"neon": "api_key", "vercel": "token"}


def _named(tables: Any, prefix: str) -> Any:
    """Return *tables* with each table's own name and, where none are given, its secrets' names."""
    if not isinstance(tables, dict):
        return tables
    return {
        name: {"name": name, "secret": f"{prefix}{name}", **table, **_with_keys(table, f"{prefix}{name}")}
        if isinstance(table, dict)
        else table
        for name, table in tables.items()
    }


def _with_keys(table: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Return the tables of a database's providers with the names of the secrets that hold the keys to their APIs."""
    return {
        place: {key: f"{prefix}/{place}", **table[place]}
        for place, key in _KEYS.items()
        if isinstance(table.get(place), dict)
    }
