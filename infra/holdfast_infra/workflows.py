"""The workflows stack: layers, functions, state machines, schedules, and what people may do with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from holdfast.configuration import INTERNET, Configuration, Database
from holdfast.model.keys import copy_secrets
from holdfast_infra.access import AccessRules, Resources
from holdfast_infra.function import Common, HoldfastFunction
from holdfast_infra.inventory import ONCE, PER_NETWORK, REPLICA_BUCKET, WORKFLOWS, FunctionPlan
from holdfast_infra.machine import HoldfastMachine
from holdfast_infra.names import Names, networks_in_use, title
from holdfast_infra.networks import HoldfastNetwork, Placement, add_endpoints
from holdfast_infra.people import People
from holdfast_infra.platforms import Platform
from holdfast_infra.schedules import Schedules
from holdfast_infra.storage import Storage
from holdfast_infra.waivers import waive

LETTERS_DAYS = 14


class WorkflowsStack(Stack):
    """
    Everything that runs. It may be removed and deployed again without touching a single recovery point.

    In the *second* region it has the same names but for roles, its schedules are off, and its functions are outside
    any VPC: networks are those of the first.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        configuration: Configuration,
        platform: Platform,
        layers: Mapping[str, Path],
        storage: Storage,
        limits: Mapping[str, int],
        second: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(scope, id, **rest)
        self._configuration, self._storage, self._limits = configuration, storage, limits
        self._names, self._second = Names.of(configuration, second=second), second
        self.dead_letters = self._queue()
        self._common = self._shared(platform, self._layer_versions(platform, layers))
        self.functions: list[HoldfastFunction] = []
        self._once = once = {plan: self._function(self, plan, None, None) for plan in ONCE}
        self.verify = self._machine("verify", None, [once[plan] for plan in WORKFLOWS["verify"]])
        self.collect = self._machine("collect", None, [once[plan] for plan in WORKFLOWS["collect"]])
        self.prune = self._machine("prune", None, [once[plan] for plan in WORKFLOWS["prune"]])
        self.protect = self._machine("protect", None, [once[plan] for plan in WORKFLOWS["protect"]])
        self.capture = self._machine("capture", None, [once[plan] for plan in WORKFLOWS["capture"]])
        self.sweep = self._machine("sweep", None, [once[plan] for plan in WORKFLOWS["sweep"]])
        self.rebuild = self._machine("rebuild", None, [once[plan] for plan in WORKFLOWS["rebuild"]])
        self.replication = self._machine("replication", None, [once[plan] for plan in WORKFLOWS["replication"]])
        self.backups: dict[str, HoldfastMachine] = {}
        self.restores: dict[str, HoldfastMachine] = {}
        self._places: list[HoldfastNetwork] = []
        for network in networks_in_use(configuration):
            self._network(network)
        add_endpoints(self, self._places)
        Schedules(
            self,
            "Schedules",
            configuration=configuration,
            names=self._names,
            enabled=not second,
            machines=self.backups,
            collect=self.collect,
            prune=self.prune,
            capture=self.capture,
            sweep=self.sweep,
            replication=self.replication if self._replica_region else None,
            dead_letters=self.dead_letters,
        )
        self.people = People(self, "People", names=self._names, storage=storage, machines=self.machines)
        self._outputs()

    @property
    def machines(self) -> list[HoldfastMachine]:
        """Return all state machines."""
        once = [
            self.verify,
            self.collect,
            self.prune,
            self.protect,
            self.capture,
            self.sweep,
            self.rebuild,
            self.replication,
        ]
        return [*once, *self.backups.values(), *self.restores.values()]

    def _queue(self) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            "DeadLetters",
            queue_name=self._names.dead_letters,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(LETTERS_DAYS),
            removal_policy=RemovalPolicy.DESTROY,
        )
        waive(queue, {"AwsSolutions-SQS3": "It is the dead-letter queue itself; an alarm watches its depth."})
        return queue

    def _layer_versions(self, platform: Platform, layers: Mapping[str, Path]) -> dict[str, lambda_.ILayerVersion]:
        return {
            name: lambda_.LayerVersion(
                self,
                f"{title(name)}Layer",
                layer_version_name=f"{self._names.system}-{name}",
                code=lambda_.Code.from_asset(str(path), exclude=["__pycache__"]),
                compatible_runtimes=[platform.runtime],
                compatible_architectures=[platform.lambda_architecture],
                # Executions that are running still use the version before.
                removal_policy=RemovalPolicy.RETAIN,
            )
            for name, path in layers.items()
        }

    def _shared(self, platform: Platform, layers: dict[str, lambda_.ILayerVersion]) -> Common:
        storage = self._storage
        return Common(
            platform=platform,
            sizes=self._configuration.functions,
            layers=layers,
            limits=self._limits,
            environment=self._replica_bucket()
            | {
                "HOLDFAST_ARCHIVE_BUCKET": storage.archive.bucket_name,
                "HOLDFAST_SCRATCH_BUCKET": storage.scratch.bucket_name,
                "HOLDFAST_CATALOGUE_TABLE": storage.catalogue.table_name,
                "HOLDFAST_SIGNING_KEY": storage.signing_key,
                "HOLDFAST_DIGEST_KEY": storage.digest_key,
            },
        )

    @property
    def _replica_region(self) -> str | None:
        """The second region has no copy of its own archive."""
        return None if self._second else self._configuration.holdfast.second_region

    def _replica_bucket(self) -> dict[str, str]:
        region = self._replica_region
        return {REPLICA_BUCKET: self._names.replica(region)} if region else {}

    def _rules(self, network: str | None) -> AccessRules:
        storage, configuration = self._storage, self._configuration
        databases, second = configuration.databases.values(), self._replica_region
        resources = Resources(
            replica=f"arn:{Aws.PARTITION}:s3:::{self._names.replica(second)}" if second else "",
            replica_region=second or "",
            archive=storage.archive.bucket_arn,
            scratch=storage.scratch.bucket_arn,
            catalogue=storage.catalogue.table_arn,
            data_key=storage.data_key,
            signing_key=storage.signing_key,
            digest_key=storage.digest_key,
            source_secrets=tuple(found for one in databases if one.network == network for found in self._logins(one)),
            copied_secrets=tuple(one.secret for one in databases if one.at_provider),
            copy_secrets=copy_secrets(configuration.holdfast.name),
            target_secrets=tuple(one.secret for one in configuration.targets.values() if one.network == network),
            provider_keys=tuple(one.neon.api_key for one in databases if one.neon),
            instances=tuple(one.rds.instance for one in databases if one.rds),
            clusters=tuple(one.aurora.cluster for one in databases if one.aurora),
        )
        return AccessRules(self, names=self._names, resources=resources, network=network)

    def _logins(self, database: Database) -> tuple[str, ...]:
        """Return the secrets by which a database is reached: its own, and those of copies where it may have any."""
        copies = f"{copy_secrets(self._configuration.holdfast.name)}{database.name}/*"
        return (database.secret, copies) if database.at_provider else (database.secret,)

    def _network(self, network: str) -> None:
        """Add a network's own functions and its backup and restore machines."""
        scope = Construct(self, title(network))
        placement = None
        if network != INTERNET and not self._second:
            place = HoldfastNetwork(scope, "Network", name=network, network=self._configuration.networks[network])
            self._places.append(place)
            placement = place.placement
        functions = {plan: self._function(scope, plan, network, placement) for plan in PER_NETWORK}
        functions |= self._once
        own = {name: [functions[plan] for plan in WORKFLOWS[name]] for name in ("backup", "restore")}
        self.backups[network] = self._machine("backup", network, own["backup"], scope=scope)
        self.restores[network] = self._machine("restore", network, own["restore"], scope=scope)

    def _function(
        self, scope: Construct, plan: FunctionPlan, network: str | None, placement: Placement | None
    ) -> HoldfastFunction:
        name = self._names.function(plan.capability, plan.name, network)
        function = HoldfastFunction(
            scope,
            plan.substitution,
            plan=plan,
            name=name,
            role_name=self._names.role(name),
            common=self._common,
            rules=self._rules(network),
            placement=placement,
        )
        self.functions.append(function)
        return function

    def _machine(
        self, workflow: str, network: str | None, functions: list[HoldfastFunction], *, scope: Construct | None = None
    ) -> HoldfastMachine:
        name = self._names.machine(workflow, network)
        return HoldfastMachine(
            scope or self,
            title(workflow),
            workflow=workflow,
            name=name,
            role_name=self._names.role(name),
            functions=functions,
            scratch=self._storage.scratch,
            data_key=self._storage.data_key,
            log_days=self._configuration.functions.log_days,
            nested=self.verify if workflow == "backup" else None,
            substitutions=self._substitutions(workflow),
        )

    def _substitutions(self, workflow: str) -> dict[str, str]:
        """Return what an ASL file names beside its functions."""
        if workflow == "backup":
            return {"VerifyMachine": self.verify.arn}
        return {"ScratchBucket": self._storage.scratch.bucket_name} if workflow == "restore" else {}

    def _outputs(self) -> None:
        values = {
            "VerifyMachine": self.verify.arn,
            "CollectMachine": self.collect.arn,
            "PruneMachine": self.prune.arn,
            "ProtectMachine": self.protect.arn,
            "CaptureMachine": self.capture.arn,
            "SweepMachine": self.sweep.arn,
            "RebuildMachine": self.rebuild.arn,
            "ReplicationMachine": self.replication.arn,
            "DeadLetters": self.dead_letters.queue_url,
        }
        values |= {f"BackupMachine{title(network)}": machine.arn for network, machine in self.backups.items()}
        values |= {f"RestoreMachine{title(network)}": machine.arn for network, machine in self.restores.items()}
        values |= {f"{title(name)}Policy": policy.managed_policy_arn for name, policy in self.people.policies.items()}
        for name, value in values.items():
            CfnOutput(self, f"{name}Output", key=name, value=value)
