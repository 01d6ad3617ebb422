"""Create the database and run the schema up to the rows, slice by slice."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.restore import Prepared, PrepareRequest
from holdfast.handler import handles
from holdfast.restoring import world_of
from holdfast.usecases.restore.prepare import prepare


@handles(PrepareRequest)
def handler(request: PrepareRequest, context: LambdaContext) -> Prepared:
    """Create the database and run the schema up to the rows, slice by slice."""
    return prepare(request, world_of(context))
