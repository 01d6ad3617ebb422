"""What functions count in CloudWatch beside what AWS counts for them, written to their logs."""

from __future__ import annotations

INTACT_POINTS = "IntactPoints"


def count_intact_point(system: str, database: str) -> None:
    """
    Count one backup of *database* that succeeded: a point that was found intact for the first time.

    The alarm on silence needs a metric of each database: those of state machines add up a whole network.
    """
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(name=INTACT_POINTS, unit=MetricUnit.Count, value=1) as metric:
        metric.add_dimension("system", system)
        metric.add_dimension("database", database)


LAG_SECONDS = "ReplicationLagSeconds"


def count_lag(system: str, database: str, seconds: int) -> None:
    """Tell how long the oldest point of *database* has waited for the second region; 0 when all is there."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(name=LAG_SECONDS, unit=MetricUnit.Seconds, value=seconds) as metric:
        metric.add_dimension("system", system)
        metric.add_dimension("database", database)
