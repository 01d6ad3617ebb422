"""Write the report and end the restore."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import Report, ReportRequest
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.report import report


@handles(ReportRequest)
def handler(request: ReportRequest, context: LambdaContext) -> Report:
    """Write the report and end the restore."""
    return report(request, world_of(context))
