"""The shape of `holdfast.toml`: frozen models that refuse keys they do not know."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from holdfast.configuration import rules
from holdfast.contracts.selection import Selection
from holdfast.errors import BadConfiguration
from holdfast.model.points import Tier

INTERNET = rules.INTERNET

_TIERS: dict[Tier, dict[str, Any]] = {
    # Half past, so that the hourly run never meets the daily, weekly or monthly one at the database's lock.
    Tier.HOURLY: {"schedule": "cron(30 * * * ? *)", "keep_days": 7, "flexible_minutes": 5},
    Tier.DAILY: {"schedule": "cron(0 2 * * ? *)", "keep_days": 30, "flexible_minutes": 15},
    Tier.WEEKLY: {"schedule": "cron(0 3 ? * SUN *)", "keep_days": 90, "flexible_minutes": 15},
    Tier.MONTHLY: {"schedule": "cron(0 4 1 * ? *)", "keep_days": 365, "flexible_minutes": 15},
}


class Section(BaseModel):
    """A table of the file: frozen, and every key must be known."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)


class Provider(StrEnum):
    """Who runs a database."""

    RDS = "rds"
    AURORA = "aurora"
    NEON = "neon"
    VERCEL = "vercel"
    POSTGRES = "postgres"


SystemName = Annotated[str, AfterValidator(rules.system_name)]
DatabaseName = Annotated[str, AfterValidator(rules.database_name)]
NetworkName = Annotated[str, AfterValidator(rules.network_name)]
TargetName = Annotated[str, AfterValidator(rules.database_name)]
NetworkReference = Annotated[str, AfterValidator(rules.known_network)]
SecretName = Annotated[str, AfterValidator(rules.secret_name)]
PublicKey = Annotated[str, AfterValidator(rules.public_key)]
Variable = Annotated[str, AfterValidator(rules.variable_name)]
TimeZone = Annotated[str, AfterValidator(rules.time_zone)]
Schedule = Annotated[str, AfterValidator(rules.schedule)]
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
            raise PydanticCustomError("elsewhere", "{sentence}", {"sentence": sentence, "path": _SECOND})
        if self.second_region and not self.region:
            sentence = "needs region; choose both, so that no copy lands where nobody chose"
            raise PydanticCustomError("elsewhere", "{sentence}", {"sentence": sentence, "path": _SECOND})
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


class TierPlan(Section):
    """`[databases.NAME.tiers.TIER]`: when points of a tier are taken (in *timezone*), and how long they are kept."""

    enabled: bool = Field(strict=True)
    schedule: Schedule
    timezone: TimeZone
    flexible_minutes: int = Field(ge=0, le=1440, strict=True)
    keep_days: int = Field(ge=1, le=36_500, strict=True)


class Tiers(Section):
    """`[databases.NAME.tiers]`: the four scheduled tiers, complete: what the file leaves out has its default."""

    hourly: TierPlan
    daily: TierPlan
    weekly: TierPlan
    monthly: TierPlan

    def enabled(self) -> Iterator[tuple[Tier, TierPlan]]:
        """Yield the tiers that have a schedule, the most frequent first."""
        for tier in _TIERS:
            plan: TierPlan = getattr(self, tier.value)
            if plan.enabled:
                yield tier, plan


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
    The lists of patterns say what of it is backed up. A backup
    gives way to a session that has waited behind it for *yield_after_seconds*, and begins anew after each of the
    *yield_pauses_seconds*.
    """

    name: SkipJsonSchema[str] = ""
    provider: Provider
    secret: SecretName = ""
    url_env: Variable | None = None
    network: NetworkReference = INTERNET
    timezone: TimeZone = "UTC"
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
        given = data.get("tiers", {})
        complete = {tier.value: _complete_tier(tier, given.get(tier.value, {}), data) for tier in _TIERS}
        return {**data, "tiers": {**given, **complete}}


def _complete_tier(tier: Tier, given: Any, database: dict[str, Any]) -> Any:
    """Return the table of *tier* with defaults for what it leaves out; only `postgres` has an hourly archive."""
    if not isinstance(given, dict):
        return given
    enabled = tier is not Tier.HOURLY or database.get("provider") == Provider.POSTGRES
    timezone = database.get("timezone", "UTC")
    # A database's own time zone is reported once, not once for each tier that inherits it.
    inherited = timezone if isinstance(timezone, str) and rules.is_time_zone(timezone) else "UTC"
    return {"enabled": enabled, "timezone": inherited, **_TIERS[tier], **given}


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
                if plan.keep_days < self.archive.lock_days:
                    sentence = (
                        f"is {self.archive.lock_days}, longer than databases.{name}.tiers.{tier} is kept "
                        f"({plan.keep_days} days); lower it, or keep that tier longer"
                    )
                    where = ("archive", "lock_days")
                    raise PydanticCustomError("elsewhere", "{sentence}", {"sentence": sentence, "path": where})
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
        """Return the normalised JSON for the functions, the same for the same content; `url_env` is left out."""
        without = {"databases": {"__all__": {"url_env"}}, "targets": {"__all__": {"url_env"}}}
        return self.model_dump_json(exclude=without, indent=2) + "\n"

    @classmethod
    def parse(cls, document: str) -> Configuration:
        """Return the configuration that a normalised *document* holds; raises `BadConfiguration`."""
        from holdfast.configuration.reading import parse

        return parse(document)


def _named(tables: Any, prefix: str) -> Any:
    """Return *tables* with each table's own name and, where none is given, its secret's name."""
    if not isinstance(tables, dict):
        return tables
    return {
        name: {"name": name, "secret": f"{prefix}{name}", **table} if isinstance(table, dict) else table
        for name, table in tables.items()
    }
