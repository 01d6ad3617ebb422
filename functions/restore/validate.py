"""Run the operator's own checks on the restored database."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import RestoreStep, Validation
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.validate import validate


@handles(RestoreStep)
def handler(request: RestoreStep, context: LambdaContext) -> Validation:
    """Run the operator's own checks on the restored database."""
    return validate(request, world_of(context))
