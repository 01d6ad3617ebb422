"""One page that shows whether backups and restores run, how long they take, and what failed."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from holdfast_infra.machine import HoldfastMachine
from holdfast_infra.workflows import WorkflowsStack

HOUR = Duration.hours(1)
HALF = 12


class Overview(Construct):
    """The dashboard, named as the system."""

    def __init__(self, scope: Construct, id: str, *, name: str, workflows: WorkflowsStack) -> None:
        super().__init__(scope, id)
        errors = [one.function.metric_errors(period=HOUR, statistic="Sum") for one in workflows.functions]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=name,
            widgets=[
                [
                    _ends("Backups", list(workflows.backups.values())),
                    _ends("Restores", list(workflows.restores.values())),
                ],
                [_ends("Verifications", [workflows.verify]), _durations(workflows.machines)],
                [_graph("Errors of functions", errors), _graph("Dead letters", [_letters(workflows)])],
            ],
        )


def _ends(title: str, machines: Sequence[HoldfastMachine]) -> cloudwatch.GraphWidget:
    metrics: list[cloudwatch.IMetric] = []
    for one in machines:
        metrics += [one.machine.metric_succeeded(period=HOUR), one.machine.metric_failed(period=HOUR)]
    return _graph(title, metrics)


def _durations(machines: Sequence[HoldfastMachine]) -> cloudwatch.GraphWidget:
    return _graph("Time of executions", [one.machine.metric_time(period=HOUR, statistic="Maximum") for one in machines])


def _letters(workflows: WorkflowsStack) -> cloudwatch.IMetric:
    return workflows.dead_letters.metric_approximate_number_of_messages_visible(period=HOUR, statistic="Maximum")


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=HALF)
