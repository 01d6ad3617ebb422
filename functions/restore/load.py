"""Load one batch of chunks, each checked by its hash before it is committed."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import BatchRequest
from holdfast.contracts.work import Done
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.load import load


@handles(BatchRequest)
def handler(request: BatchRequest, context: LambdaContext) -> Done:
    """Load one batch of chunks, each checked by its hash before it is committed."""
    return load(request, world_of(context))
