"""Run one batch of what follows the rows: indexes, constraints, values, grants, statistics."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.work import Done
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.finish import finish


@handles(BatchRequest)
def handler(request: BatchRequest, context: LambdaContext) -> Done:
    """Run one batch of what follows the rows: indexes, constraints, values, grants, statistics."""
    return finish(request, world_of(context))
