"""
When things start: one EventBridge schedule for each database's tier that the configuration enables, one a day for the
removal of what has expired, and one a week for the collection of its unneeded chunks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from holdfast.configuration import Configuration, Database, TierPlan
from holdfast.model.points import Mechanism
from holdfast_infra.access import allow
from holdfast_infra.machine import HoldfastMachine
from holdfast_infra.names import Names, title

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
RETRY_SECONDS = 3600
RETRIES = 10
COLLECTION = "cron(0 9 ? * SUN *)"
"""After the night's backups; where one still runs, the collection waits for it."""
COLLECTION_MINUTES = 120
LOOK_MINUTES = 15
"""Between two looks at the second region; S3 promises to be no later."""
PRUNING = "cron(0 8 * * ? *)"
"""After the night's backups, which may show that a tier is not failing, and before the collection."""
PRUNING_MINUTES = 30
SWEEPING = "cron(40 * * * ? *)"
SWEEPING_MINUTES = 10


class Schedules(Construct):
    """
    The schedule group, its one role and its schedules; what cannot be started in an hour is a dead letter.

    They are there and off in the second region, until somebody has it take over.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        configuration: Configuration,
        names: Names,
        enabled: bool,
        machines: Mapping[str, HoldfastMachine],
        collect: HoldfastMachine,
        prune: HoldfastMachine,
        capture: HoldfastMachine,
        sweep: HoldfastMachine,
        replication: HoldfastMachine | None,
        dead_letters: sqs.IQueue,
    ) -> None:
        super().__init__(scope, id)
        self._names, self._machines, self._dead_letters = names, machines, dead_letters
        self._state = "ENABLED" if enabled else "DISABLED"
        self._collect, self._prune, self._capture, self._sweep = collect, prune, capture, sweep
        self._replication = replication
        self._group = scheduler.CfnScheduleGroup(self, "Group", name=self._names.system)
        self._role = self._scheduling_role()
        for database in configuration.databases.values():
            for tier, plan in database.tiers.enabled():
                self._backup(database, tier.value, plan)
            self._pruning(database)
            self._collection(database)
            if replication:
                self._look(replication, database)
        self._sweeping()

    def _scheduling_role(self) -> iam.Role:
        return iam.Role(
            self,
            "Role",
            role_name=self._names.role(f"{self._names.system}-schedules"),
            # Without the condition, a schedule of another account could use the role through the service.
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
            ),
            inline_policies={
                "access": iam.PolicyDocument(
                    statements=[
                        allow(["states:StartExecution"], *[machine.arn for machine in self._all()]),
                        allow(["sqs:SendMessage"], self._dead_letters.queue_arn),
                    ]
                )
            },
        )

    def _all(self) -> list[HoldfastMachine]:
        """Return every machine that a schedule starts."""
        return [
            *self._machines.values(),
            self._collect,
            self._prune,
            self._capture,
            self._sweep,
            *filter(None, [self._replication]),
        ]

    def _backup(self, database: Database, tier: str, plan: TierPlan) -> None:
        archived = plan.mechanism is Mechanism.ARCHIVE
        self._schedule(
            self._machines[database.network] if archived else self._capture,
            database,
            tier,
            {"tier": tier},
            description=f"Backs {database.name} up: {tier}, by {plan.mechanism}.",
            schedule_expression=plan.schedule,
            schedule_expression_timezone=plan.timezone,
            flexible_time_window=_window(plan.flexible_minutes),
        )

    def _pruning(self, database: Database) -> None:
        self._schedule(
            self._prune,
            database,
            "prune",
            {},
            description=f"Removes recovery points of {database.name} whose time is over.",
            schedule_expression=PRUNING,
            schedule_expression_timezone=database.timezone,
            flexible_time_window=_window(PRUNING_MINUTES),
        )

    def _collection(self, database: Database) -> None:
        self._schedule(
            self._collect,
            database,
            "collect",
            {},
            description=f"Collects chunks of {database.name} that no recovery point pins.",
            schedule_expression=COLLECTION,
            schedule_expression_timezone=database.timezone,
            flexible_time_window=_window(COLLECTION_MINUTES),
        )

    def _look(self, replication: HoldfastMachine, database: Database) -> None:
        self._schedule(
            replication,
            database,
            "replication",
            {},
            description=f"Looks whether the second region has all of {database.name}'s recovery points.",
            schedule_expression=f"rate({LOOK_MINUTES} minutes)",
            flexible_time_window=_window(0),
        )

    def _sweeping(self) -> None:
        self._add(
            self._sweep,
            "Sweep",
            f"{self._names.system}-sweep",
            {},
            description="Removes frozen copies and their logins that no running backup needs.",
            schedule_expression=SWEEPING,
            schedule_expression_timezone="UTC",
            flexible_time_window=_window(SWEEPING_MINUTES),
        )

    def _schedule(
        self, machine: HoldfastMachine, database: Database, purpose: str, request: dict[str, str], **when: Any
    ) -> None:
        name = self._names.schedule(database.name, purpose)
        self._add(
            machine, f"{title(database.name)}{title(purpose)}", name, {"database": database.name, **request}, **when
        )

    def _add(self, machine: HoldfastMachine, id: str, name: str, request: dict[str, str], **when: Any) -> None:
        schedule = scheduler.CfnSchedule(
            self,
            id,
            name=name,
            group_name=self._names.system,
            state=self._state,
            target=scheduler.CfnSchedule.TargetProperty(
                arn=machine.arn,
                role_arn=self._role.role_arn,
                input=json.dumps({**request, "scheduled_at": SCHEDULED_TIME}),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=RETRY_SECONDS, maximum_retry_attempts=RETRIES
                ),
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=self._dead_letters.queue_arn),
            ),
            **when,
        )
        schedule.add_resource_dependency(self._group)
        schedule.node.add_dependency(machine.machine)


def _window(minutes: int) -> scheduler.CfnSchedule.FlexibleTimeWindowProperty:
    if minutes == 0:
        return scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF")
    return scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="FLEXIBLE", maximum_window_in_minutes=minutes)
