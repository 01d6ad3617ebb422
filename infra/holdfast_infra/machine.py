"""One state machine: an ASL file with the names of what it calls, a role for just that, a log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import ArnFormat, Aws, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from holdfast_infra.access import allow, via_services
from holdfast_infra.function import HoldfastFunction
from holdfast_infra.machines import MACHINES
from holdfast_infra.retention import retention
from holdfast_infra.waivers import waive_wildcards

_DELIVERY = [
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
]
_TRACES = [
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
]
_WILDCARDS = {
    r"\*": "Log delivery and X-Ray have no resources of their own to name.",
    r".*(Scratch|ScratchBucket)[A-F0-9]+.*/\*.*": "Items and faults of this workflow's own runs, under its prefix.",
    r"arn:.*:execution:.*": "Its own children and nested executions; their names are only known when they run.",
}


class HoldfastMachine(Construct):
    """
    One ASL file of `machines/`, deployed for one network or once.

    The ARN follows from the name, so that the machine's role can allow it to start the children of its own
    Distributed Maps without a circle between role and machine.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        workflow: str,
        name: str,
        role_name: str,
        functions: Sequence[HoldfastFunction],
        scratch: s3.IBucket,
        data_key: str,
        log_days: int,
        nested: HoldfastMachine | None = None,
        substitutions: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.workflow, self.name, self._role_name = workflow, name, role_name
        self._functions, self._scratch, self._data_key, self._nested = functions, scratch, data_key, nested
        self.arn = self._arn("stateMachine", name)
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=retention(log_days),
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = self._role()
        self.machine = self._machine(substitutions or {})

    def _arn(self, resource: str, name: str) -> str:
        return Stack.of(self).format_arn(
            service="states", resource=resource, resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            role_name=self._role_name,
            # Without the condition, a machine of another account could use the role through the service.
            assumed_by=iam.ServicePrincipal(
                "states.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
            ),
            description=f"What the state machine {self.name} may do.",
            inline_policies={"access": iam.PolicyDocument(statements=self._statements())},
        )
        waive_wildcards(role, _WILDCARDS)
        return role

    def _statements(self) -> list[iam.PolicyStatement]:
        scratch = self._scratch.arn_for_objects(f"{self.workflow}/*")
        key = allow(["kms:Decrypt", "kms:GenerateDataKey"], self._data_key)
        key.add_conditions(via_services(Stack.of(self), "s3"))
        return [
            allow(["lambda:InvokeFunction"], *[one.function.function_arn for one in self._functions]),
            allow(["s3:GetObject", "s3:PutObject"], scratch),
            # Without the right to list, a fault that nobody noted answers "access denied" in place of "not found".
            allow(["s3:ListBucket"], self._scratch.bucket_arn),
            key,
            # A Distributed Map runs its children as executions of the same machine.
            allow(["states:StartExecution"], self.arn, *([self._nested.arn] if self._nested else [])),
            allow(["states:DescribeExecution", "states:StopExecution"], *self._executions()),
            allow(["states:RedriveExecution"], self._arn("execution", f"{self.name}/*")),
            *self._sync(),
            allow(_DELIVERY, "*"),
            allow(_TRACES, "*"),
        ]

    def _executions(self) -> list[str]:
        nested = [self._arn("execution", f"{self._nested.name}:*")] if self._nested else []
        return [self._arn("execution", f"{self.name}:*"), self._arn("execution", f"{self.name}/*"), *nested]

    def _sync(self) -> list[iam.PolicyStatement]:
        """Waiting for a nested execution goes through a rule that Step Functions keeps in this account."""
        if not self._nested:
            return []
        rule = Stack.of(self).format_arn(
            service="events", resource="rule", resource_name="StepFunctionsGetEventsForStepFunctionsExecutionRule"
        )
        return [allow(["events:DescribeRule", "events:PutRule", "events:PutTargets"], rule)]

    def _machine(self, substitutions: Mapping[str, str]) -> sfn.StateMachine:
        called = {one.plan.substitution: one.function.function_arn for one in self._functions}
        machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=self.name,
            definition_body=sfn.DefinitionBody.from_file(str(MACHINES / f"{self.workflow}.asl.json")),
            definition_substitutions={**called, **substitutions},
            role=self.role.without_policy_updates(),
            tracing_enabled=True,
            # Inputs and outputs carry ids and counts only, yet they stay out of the logs.
            logs=sfn.LogOptions(destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
        )
        if self._nested:
            machine.node.add_dependency(self._nested.machine)
        return machine
