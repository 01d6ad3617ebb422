"""Read one batch of ranges back and digest their rows."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.work import Done
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.prove import prove


@handles(BatchRequest)
def handler(request: BatchRequest, context: LambdaContext) -> Done:
    """Read one batch of ranges back and digest their rows."""
    return prove(request, world_of(context))
