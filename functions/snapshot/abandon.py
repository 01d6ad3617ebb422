"""End a capture that failed: mark its point."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.capture import Abandoned, AbandonRequest
from holdfast.handler import handles
from holdfast.settings import CatalogueSettings
from holdfast.usecases.capture.abandon import abandon_capture
from holdfast.wiring import Wiring


@handles(AbandonRequest)
def handler(request: AbandonRequest, _context: LambdaContext) -> Abandoned:
    """Answer with the point that failed and why."""
    wiring = Wiring.from_environment(CatalogueSettings)
    return abandon_capture(request, database=wiring.database(request.database), points=wiring.points)
