"""
What everything is called, before it exists.

Roles, functions and machines have names that follow from the configuration, so that a key's policy can name
the roles that may use it although they belong to a later stack, and the command finds a machine without a look-up.
Names of roles and policies carry no region, although IAM has none: with one they would not fit into 64 characters. Two
systems of one account therefore have two names, in whatever regions they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Aws

from holdfast.configuration import Configuration
from holdfast_infra.inventory import ONCE, PER_NETWORK


@dataclass(frozen=True)
class Names:
    """
    The names of one system in one region; *system* is the prefix of all of them.

    *roles_end* tells roles and policies of the second region from those of the first; all else has the same name there.
    """

    system: str
    roles_end: str = ""

    @classmethod
    def of(cls, configuration: Configuration, *, second: bool = False) -> Names:
        """Return the names of the configured system, in its first region or in the *second*."""
        return cls(configuration.holdfast.name, "-2" if second else "")

    def stack(self, name: str) -> str:
        """Return the name of a stack: storage, workflows or monitoring."""
        return f"{self.system}-{name}"

    def function(self, capability: str, name: str, network: str | None = None) -> str:
        """Return the name of a function and of its log group's last part (at most 62 characters)."""
        return "-".join(part for part in (self.system, network, capability, name) if part)

    def role(self, name: str) -> str:
        """Return the name of the role of what is called *name*, or of a policy (at most 64 characters)."""
        return f"{name}{self.roles_end}"

    @property
    def keys_for_the_second_region(self) -> str:
        """Return the name of the secret that tells the second region's template of the keys; no database has it."""
        return f"{self.system}/second-region/keys"

    def machine(self, workflow: str, network: str | None = None) -> str:
        """Return the name of a state machine."""
        return "-".join(part for part in (self.system, workflow, network) if part)

    def replica(self, region: str) -> str:
        """
        Return the name of the archive's copy in the second *region* (at most 63 characters).

        It is fixed, so that either region names it before the other exists; no other account can have taken it.
        """
        return f"{self.system}-replica-{Aws.ACCOUNT_ID}-{region}"

    @property
    def data_key_alias(self) -> str:
        """Return the alias of the key that encrypts data at rest: the same in each region, for another key."""
        return f"alias/{self.system}/data"

    @property
    def dead_letters(self) -> str:
        """Return the name of the queue of what was lost."""
        return f"{self.system}-dead-letters"

    def schedule(self, database: str, tier: str) -> str:
        """Return the name of the schedule of one database's tier (at most 64 characters)."""
        return f"{self.system}-{database}-{tier}"


@dataclass(frozen=True)
class Inhabitants:
    """The names of all functions and machines of a configuration; machines of backup and restore by network."""

    functions: tuple[str, ...]
    verify: str
    collect: str
    prune: str
    protect: str
    capture: str
    sweep: str
    rebuild: str
    replication: str
    backups: Mapping[str, str]
    restores: Mapping[str, str]

    @property
    def machines(self) -> tuple[str, ...]:
        """Return the names of all state machines."""
        once = (
            self.verify,
            self.collect,
            self.prune,
            self.protect,
            self.capture,
            self.sweep,
            self.rebuild,
            self.replication,
        )
        return (*once, *self.backups.values(), *self.restores.values())


def inhabitants(configuration: Configuration) -> Inhabitants:
    """Return what the workflows stack of *configuration* consists of, by name."""
    names, networks = Names.of(configuration), networks_in_use(configuration)
    own = [names.function(plan.capability, plan.name, network) for network in networks for plan in PER_NETWORK]
    return Inhabitants(
        functions=(*[names.function(plan.capability, plan.name) for plan in ONCE], *own),
        verify=names.machine("verify"),
        collect=names.machine("collect"),
        prune=names.machine("prune"),
        protect=names.machine("protect"),
        capture=names.machine("capture"),
        sweep=names.machine("sweep"),
        rebuild=names.machine("rebuild"),
        replication=names.machine("replication"),
        backups={network: names.machine("backup", network) for network in networks},
        restores={network: names.machine("restore", network) for network in networks},
    )


def networks_in_use(configuration: Configuration) -> tuple[str, ...]:
    """Return the networks of databases and targets: each gets its own functions and machines."""
    databases = {database.network for database in configuration.databases.values()}
    return tuple(sorted(databases | {target.network for target in configuration.targets.values()}))


def title(name: str) -> str:
    """Return *name* as part of a logical id or an output's key: `production-eu` becomes `ProductionEu`."""
    return "".join(part.capitalize() for part in name.replace("_", "-").split("-"))
