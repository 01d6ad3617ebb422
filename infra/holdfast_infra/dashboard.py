"""One page that shows whether backups and restores run, how long they take, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from holdfast_infra import metrics
from holdfast_infra.names import Inhabitants, Names

HOUR = Duration.hours(1)
HALF = 12


class Overview(Construct):
    """The dashboard, named as the system."""

    def __init__(self, scope: Construct, id: str, *, names: Names, found: Inhabitants) -> None:
        super().__init__(scope, id)
        errors = [metrics.function_errors(name, period=HOUR).with_(label=name) for name in found.functions]
        times = [metrics.execution_time(self, name, period=HOUR).with_(label=name) for name in found.machines]
        letters = [metrics.messages(names.dead_letters, period=HOUR)]
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=names.system,
            widgets=[
                [
                    self._ends("Backups", [*found.backups.values(), found.capture]),
                    self._ends("Restores", found.restores.values()),
                ],
                [
                    self._ends(
                        "Verifications, collections, prunings, sweeps",
                        [found.verify, found.collect, found.prune, found.sweep],
                    ),
                    _graph("Time of executions", times),
                ],
                [_graph("Errors of functions", errors), _graph("Dead letters", letters)],
            ],
        )

    def _ends(self, title: str, machines: Iterable[str]) -> cloudwatch.GraphWidget:
        return _graph(
            title,
            [
                metrics.executions(self, name, end, period=HOUR).with_(label=f"{name} {end.lower()}")
                for name in machines
                for end in ("Succeeded", "Failed", "TimedOut")
            ],
        )


def _graph(title: str, lines: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(lines), width=HALF)
