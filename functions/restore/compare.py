"""Compare everything that was restored with the archive."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import Proof, RestoreStep
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.compare import compare


@handles(RestoreStep)
def handler(request: RestoreStep, context: LambdaContext) -> Proof:
    """Compare everything that was restored with the archive."""
    return compare(request, world_of(context))
