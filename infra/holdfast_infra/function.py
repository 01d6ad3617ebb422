"""One function: its code, its role with exactly the rights that the inventory gives it, its log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from holdfast.configuration import Functions
from holdfast_infra.access import AccessRules, allow
from holdfast_infra.inventory import REPLICA_BUCKET, FunctionPlan
from holdfast_infra.networks import Placement
from holdfast_infra.platforms import Platform
from holdfast_infra.retention import retention
from holdfast_infra.waivers import waive, waive_wildcards

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
METRICS_NAMESPACE = "Holdfast"

_WILDCARDS = {
    r"\*": "X-Ray, network interfaces, task tokens, lists of RDS and of secrets: nothing of their own to name.",
    r"arn:.*:rds:.*:holdfast-\*": "What we make bears our prefix; its names are only known when it is made.",
    r"arn:.*:rds:.*:\*": "A copy has its source's groups and network, whose names are not known here.",
    r".*(Archive|Scratch|ArchiveBucket|ScratchBucket)[A-F0-9]+.*/\*.*": "Objects of one bucket, under the prefixes of "
    "this step; their names are content hashes and runs' ids.",
    r"arn:.*:s3:::.*-replica-.*/\*(/(chunks|points)/\*)?": "The same objects in the archive's copy.",
    r"arn:.*:secret:.*-\?\?\?\?\?\?": "Secrets Manager adds six characters of its own to a secret's name.",
    r"arn:.*:kms:.*:key/.*": "A secret's key is not known here; the conditions name the secret and Secrets Manager.",
    r"arn:.*:execution:.*": "Executions of this system's own machines; their names are only known when they run.",
    r"<.*LogGroup.*\.Arn>:\*|<.*Logs.*\.Arn>:\*|<.*Logs.*\.Arn>": "Log streams of the function's own log group.",
}


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all functions share: platform, sizes, layers and environment."""

    platform: Platform
    sizes: Functions
    layers: Mapping[str, lambda_.ILayerVersion]
    environment: Mapping[str, str]
    limits: Mapping[str, int] = field(default_factory=dict)
    """Shorter limits in seconds by function (`snapshot.hold`), which the local system may be given."""


class HoldfastFunction(Construct):
    """
    A function of the inventory, in one network.

    The role is made here and nothing is added to it later: grants would hide in a default policy what
    the inventory does not say.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        plan: FunctionPlan,
        name: str,
        common: Common,
        role_name: str,
        rules: AccessRules,
        placement: Placement | None,
    ) -> None:
        super().__init__(scope, id)
        self.plan, self.name, self._role_name = plan, name, role_name
        self._common, self._placement = common, placement
        self.log_group = self._log_group()
        self.role = self._role(rules)
        self.function = self._function()

    def _log_group(self) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{self.name}",
            retention=retention(self._common.sizes.log_days),
            removal_policy=RemovalPolicy.DESTROY,
        )

    def _role(self, rules: AccessRules) -> iam.Role:
        statements = [
            allow(["logs:CreateLogStream", "logs:PutLogEvents"], self.log_group.log_group_arn),
            allow(["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
            *rules.statements(self.plan),
        ]
        if self._placement:
            statements.append(self._placement.statement())
        role = iam.Role(
            self,
            "Role",
            role_name=self._role_name,
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"What {self.plan.capability}.{self.plan.name} may do.",
            inline_policies={"access": iam.PolicyDocument(statements=statements)},
        )
        waive_wildcards(role, _WILDCARDS)
        return role

    def _function(self) -> lambda_.Function:
        sizes, platform = self._common.sizes, self._common.platform
        function = lambda_.Function(
            self,
            "Function",
            function_name=self.name,
            description=f"{self.plan.capability}.{self.plan.name}",
            runtime=platform.runtime,
            architecture=platform.lambda_architecture,
            code=lambda_.Code.from_asset(str(FUNCTIONS / self.plan.capability), exclude=["__pycache__", "*.pyc", ".*"]),
            handler=f"{self.plan.name}.handler",
            layers=self._layers(),
            role=self.role.without_policy_updates(),
            memory_size=sizes.dump_memory_mb if self.plan.heavy else sizes.memory_mb,
            timeout=Duration.seconds(self._limit()),
            environment=self._environment(),
            tracing=lambda_.Tracing.ACTIVE,
            logging_format=lambda_.LoggingFormat.JSON,
            log_group=self.log_group,
            **self._asynchronous(),
            **(self._placement.arguments() if self._placement else {}),
        )
        waive(
            function,
            {"AwsSolutions-L1": "Layers are built and tested for this version of Python; it changes with them."},
        )
        return function

    def _limit(self) -> int:
        plan, common = self.plan, self._common
        return min(plan.seconds, common.sizes.timeout_seconds, common.limits.get(plan.path, plan.seconds))

    def _layers(self) -> Sequence[lambda_.ILayerVersion]:
        wanted = ["holdfast", "dependencies", "configuration"]
        return [self._common.layers[name] for name in [*wanted, *(["pgclient"] if self.plan.touches_databases else [])]]

    def _environment(self) -> dict[str, str]:
        given, wanted = self._common.environment, sorted(self.plan.variables)
        # The replica is the one thing that a system may do without.
        return {name: given[name] for name in wanted if name in given or name != REPLICA_BUCKET} | {
            "POWERTOOLS_SERVICE_NAME": f"{self.plan.capability}.{self.plan.name}",
            "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }

    def _asynchronous(self) -> dict[str, Any]:
        """
        Never run an event twice: the state machine starts successors, and notices one that is lost by its silence.

        No dead letter is kept of it, which would carry the task's token: whoever read the queue could answer with it.
        """
        return {"retry_attempts": 0, "max_event_age": Duration.seconds(60)} if self.plan.asynchronous else {}
