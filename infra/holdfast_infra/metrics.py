"""
Metrics by the names of what they measure.

The monitoring stack refers to functions and machines by name, never by an export of their stack: an export that
is in use cannot change, so watching something would prevent replacing it. Metrics have no labels of their own, which
would turn an alarm's plain metric into an expression; the dashboard adds them.
"""

from __future__ import annotations

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from holdfast.counting import INTACT_POINTS, LAG_SECONDS
from holdfast_infra.function import METRICS_NAMESPACE


def function_errors(name: str, *, period: Duration) -> cloudwatch.Metric:
    """Return how many invocations of a function failed."""
    return _metric("AWS/Lambda", "Errors", {"FunctionName": name}, period=period, statistic="Sum")


def intact_points(system: str, database: str, *, period: Duration) -> cloudwatch.Metric:
    """Return how many backups of a database succeeded: points that were found intact for the first time."""
    dimensions = {"system": system, "database": database, "service": "verify.conclude"}
    return _metric(METRICS_NAMESPACE, INTACT_POINTS, dimensions, period=period, statistic="Sum")


def replication_lag(system: str, database: str, *, period: Duration) -> cloudwatch.Metric:
    """Return how many seconds the oldest point of a database has waited for the second region."""
    dimensions = {"system": system, "database": database, "service": "monitor.replication"}
    return _metric(METRICS_NAMESPACE, LAG_SECONDS, dimensions, period=period, statistic="Maximum")


def executions(scope: Construct, machine: str, end: str, *, period: Duration) -> cloudwatch.Metric:
    """Return how many executions of a machine came to *end*: Succeeded, Failed, TimedOut, Aborted."""
    dimensions = {"StateMachineArn": _machine_arn(scope, machine)}
    return _metric("AWS/States", f"Executions{end}", dimensions, period=period, statistic="Sum")


def execution_time(scope: Construct, machine: str, *, period: Duration) -> cloudwatch.Metric:
    """Return how long the longest execution of a machine took, in milliseconds."""
    dimensions = {"StateMachineArn": _machine_arn(scope, machine)}
    return _metric("AWS/States", "ExecutionTime", dimensions, period=period, statistic="Maximum")


def messages(queue: str, *, period: Duration) -> cloudwatch.Metric:
    """Return how many messages wait in a queue."""
    dimensions = {"QueueName": queue}
    return _metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", dimensions, period=period, statistic="Maximum")


def _machine_arn(scope: Construct, name: str) -> str:
    return Stack.of(scope).format_arn(
        service="states", resource="stateMachine", resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
    )


def _metric(
    namespace: str, name: str, dimensions: dict[str, str], *, period: Duration, statistic: str
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map=dimensions,
        period=period,
        statistic=statistic,
    )
