"""The monitoring stack: who is told, what is watched, and one page to look at."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from holdfast.configuration import Configuration
from holdfast.model.points import Tier
from holdfast_infra import metrics
from holdfast_infra.dashboard import Overview
from holdfast_infra.names import Names, inhabitants, title

FIVE_MINUTES = Duration.minutes(5)
HOUR = Duration.hours(1)
SILENT_HOURS = 26
LAG_HOURS = 2
FAILING_PERIODS = 3
_MISSING = cloudwatch.TreatMissingData
_AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


class MonitoringStack(Stack):
    """The alert topic, the alarms that speak to it, and the dashboard."""

    def __init__(self, scope: Construct, id: str, *, configuration: Configuration, **rest: Any) -> None:
        super().__init__(scope, id, **rest)
        self._names, self._configuration = Names.of(configuration), configuration
        found = inhabitants(configuration)
        self.topic = self._topic()
        for function in found.functions:
            self._function_errors(function)
        for machine in found.machines:
            self._unhappy_ends(machine)
        for database in configuration.databases.values():
            if any(tier in {Tier.HOURLY, Tier.DAILY} for tier, _ in database.tiers.enabled()):
                self._silence(database.name)
        if configuration.holdfast.second_region:
            for name in configuration.databases:
                self._lag(name)
        self._letters()
        Overview(self, "Overview", names=self._names, found=found)
        CfnOutput(self, "AlertTopicOutput", key="AlertTopic", value=self.topic.topic_arn)

    def _topic(self) -> sns.Topic:
        key = kms.Key(
            self,
            "AlertKey",
            alias=f"alias/{self._names.system}/alerts",
            description="Encrypts alerts on their way.",
            enable_key_rotation=True,
        )
        # CloudWatch may publish to an encrypted topic only if the key's own policy says so.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        topic = sns.Topic(self, "Alerts", topic_name=f"{self._names.system}-alerts", master_key=key, enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        for email in self._configuration.monitoring.emails:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic

    def _function_errors(self, name: str) -> None:
        """
        Alarm when a function goes on failing: one failure is what its state machine retries.

        A failure that ends a run is told by the machine's own alarm, at once.
        """
        metric = metrics.function_errors(name, period=FIVE_MINUTES)
        self._alarm(
            f"{name}-errors",
            metric,
            f"The function {name} has been failing for {5 * FAILING_PERIODS} minutes; read its log group.",
            periods=FAILING_PERIODS,
        )

    def _unhappy_ends(self, machine: str) -> None:
        for end, words in {"Failed": "failed", "TimedOut": "took too long", "Aborted": "was stopped"}.items():
            metric = metrics.executions(self, machine, end, period=FIVE_MINUTES)
            self._alarm(f"{machine}-{end.lower()}", metric, f"An execution of {machine} {words}.")

    def _silence(self, database: str) -> None:
        """
        Alarm when no backup of a database succeeds for more than a day: a schedule that does not fire raises no error.

        Each database by itself, since those that are well would hide their neighbour. Counted in hours, since
        CloudWatch's days begin at midnight and would hide up to a second one.
        """
        self._alarm(
            f"{self._names.system}-{database}-silent",
            metrics.intact_points(self._names.system, database, period=HOUR),
            f"No backup of {database} has succeeded for {SILENT_HOURS} hours; look at its schedules and their runs.",
            periods=SILENT_HOURS,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=_MISSING.BREACHING,
        )

    def _lag(self, database: str) -> None:
        """Alarm when a point waits for the second region longer than two hours, or nobody looks any more."""
        self._alarm(
            f"{self._names.system}-{database}-replication",
            metrics.replication_lag(self._names.system, database, period=HOUR),
            f"A recovery point of {database} is not all in the second region after {LAG_HOURS} hours, or nobody looks; "
            "see the machine's runs and the bucket's replication.",
            periods=2,
            threshold=LAG_HOURS * 3600,
            missing=_MISSING.BREACHING,
        )

    def _letters(self) -> None:
        self._alarm(
            self._names.dead_letters,
            metrics.messages(self._names.dead_letters, period=FIVE_MINUTES),
            "A schedule could not start a backup; read the queue.",
        )

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        description: str,
        *,
        periods: int = 1,
        threshold: int = 1,
        comparison: cloudwatch.ComparisonOperator = _AT_LEAST,
        missing: cloudwatch.TreatMissingData = _MISSING.NOT_BREACHING,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            title(name),
            alarm_name=name,
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
