"""
What people may do: four managed policies to attach to the roles that they sign in with.

A viewer sees everything and changes nothing. An operator starts backups, verifications and restores. An
approver answers what waits for a person. A downloader reads whole archives, and so rows; nobody else does, and nobody
reads secrets by them.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from holdfast.model.keys import HANDBOOK, MANIFEST, PUBLIC_KEY, SIGNATURE, VERIFICATION
from holdfast_infra.access import allow, via_services
from holdfast_infra.machine import HoldfastMachine
from holdfast_infra.names import Names, title
from holdfast_infra.storage import Storage
from holdfast_infra.waivers import waive_wildcards

_WILDCARDS = {
    r"\*": "Task tokens, schedules' lists and alarms have no resources that could be named.",
    r".*(Archive|Scratch)[A-F0-9]+.*/\*.*": "Reports and manifests under known names, of any run and point.",
    r"arn:.*:states:.*": "Executions of this system's own machines; their names are only known when they run.",
    r"arn:.*:scheduler:.*": "Schedules of this system's own group.",
    r"arn:.*:cloudformation:.*": "Stacks of this system; CloudFormation adds an id of its own.",
    r"arn:.*:logs:.*": "Logs of this system's own functions and machines.",
}
_DOCUMENTS = (MANIFEST, SIGNATURE, PUBLIC_KEY, VERIFICATION, HANDBOOK)
_REPORTS = ("restore/*/plan.json", "restore/*/report.json", "restore/*/progress/*", "prune/*/decisions.json")
_SEE_RUNS = [
    "states:DescribeExecution",
    "states:DescribeMapRun",
    "states:GetExecutionHistory",
    "states:ListExecutions",
    "states:ListMapRuns",
]


class People(Construct):
    """The managed policies viewer, operator, approver and downloader."""

    def __init__(
        self, scope: Construct, id: str, *, names: Names, storage: Storage, machines: Sequence[HoldfastMachine]
    ) -> None:
        super().__init__(scope, id)
        self._names, self._storage, self._machines = names, storage, machines
        rights = {
            "viewer": [],
            "operator": self._operate(),
            "approver": self._approve(),
            "downloader": self._download(),
        }
        self.policies = {name: self._policy(name, [*self._see(), *more]) for name, more in rights.items()}

    def _policy(self, name: str, statements: list[iam.PolicyStatement]) -> iam.ManagedPolicy:
        policy = iam.ManagedPolicy(
            self,
            title(name),
            managed_policy_name=self._names.role(f"{self._names.system}-{name}"),
            description=f"Holdfast {self._names.system}: {name}.",
            statements=statements,
        )
        waive_wildcards(policy, _WILDCARDS)
        return policy

    def _see(self) -> list[iam.PolicyStatement]:
        storage = self._storage
        documents = [f"{storage.archive.bucket_arn}/*/points/*/{name}" for name in _DOCUMENTS]
        reports = [f"{storage.scratch.bucket_arn}/{name}" for name in _REPORTS]
        key = allow(["kms:Decrypt"], storage.data_key)
        key.add_conditions(via_services(Stack.of(self), "dynamodb", "s3"))
        return [
            allow(["dynamodb:GetItem", "dynamodb:Query"], storage.catalogue.table_arn),
            # Chunks hold rows; a schema's dump, and what a restore made of it, may hold passwords of foreign servers.
            allow(["s3:GetObject", "s3:GetObjectVersion"], *documents, *reports),
            # Without it, what is missing answers "access denied" in place of "not found".
            allow(["s3:ListBucket"], storage.archive.bucket_arn, storage.scratch.bucket_arn),
            key,
            allow(["kms:GetPublicKey", "kms:Verify"], storage.signing_key),
            allow(["states:DescribeStateMachine", "states:ListExecutions"], *[one.arn for one in self._machines]),
            allow(_SEE_RUNS, *self._runs()),
            allow(["scheduler:GetSchedule"], self._schedules()),
            allow(["scheduler:ListSchedules", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"], "*"),
            allow(["cloudformation:DescribeStacks"], *self._stacks()),
            allow(["logs:FilterLogEvents", "logs:GetLogEvents"], *self._logs()),
        ]

    def _operate(self) -> list[iam.PolicyStatement]:
        return [
            allow(["states:StartExecution"], *[one.arn for one in self._machines]),
            allow(["states:StopExecution"], *self._runs()),
        ]

    def _approve(self) -> list[iam.PolicyStatement]:
        # A person's answer to a restore that waits; who may approve need not be allowed to start.
        return [allow(["states:SendTaskFailure", "states:SendTaskSuccess"], "*")]

    def _download(self) -> list[iam.PolicyStatement]:
        return [allow(["s3:GetObject", "s3:GetObjectVersion"], f"{self._storage.archive.bucket_arn}/*")]

    def _runs(self) -> list[str]:
        kinds = ("execution", "mapRun")
        return [self._arn("states", kind, f"{one.name}{end}") for one in self._machines for kind, end in _ends(kinds)]

    def _schedules(self) -> str:
        return self._arn("scheduler", "schedule", f"{self._names.system}/*", ArnFormat.SLASH_RESOURCE_NAME)

    def _stacks(self) -> list[str]:
        stacks = (self._names.stack(name) for name in ("storage", "workflows", "monitoring"))
        return [self._arn("cloudformation", "stack", f"{name}/*", ArnFormat.SLASH_RESOURCE_NAME) for name in stacks]

    def _logs(self) -> list[str]:
        groups = (f"/aws/lambda/{self._names.system}-*", f"/aws/vendedlogs/states/{self._names.system}-*")
        return [self._arn("logs", "log-group", group) for group in groups]

    def _arn(
        self, service: str, resource: str, name: str, arn_format: ArnFormat = ArnFormat.COLON_RESOURCE_NAME
    ) -> str:
        return Stack.of(self).format_arn(service=service, resource=resource, resource_name=name, arn_format=arn_format)


def _ends(kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Return how ARNs of runs continue: children of a Distributed Map have the Map's label in theirs."""
    return [(kind, end) for kind in kinds for end in (":*", "/*")]
