"""Assess a restore: refuse it here, or write its plan; nothing in the target is touched."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import Assessed, RestoreRequest
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.assess import assess


@handles(RestoreRequest)
def handler(request: RestoreRequest, context: LambdaContext) -> Assessed:
    """Assess a restore: refuse it here, or write its plan; nothing in the target is touched."""
    return assess(request, world_of(context))
