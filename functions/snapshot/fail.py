"""End a backup that failed: say why, and release what it holds."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.backup import Failed, FailRequest
from holdfast.handler import handles
from holdfast.settings import CatalogueSettings
from holdfast.usecases.snapshot.fail import fail_backup
from holdfast.wiring import Wiring


@handles(FailRequest)
def handler(request: FailRequest, _context: LambdaContext) -> Failed:
    """Answer with the point that failed and why."""
    wiring = Wiring.from_environment(CatalogueSettings)
    return fail_backup(
        request,
        parameters=lambda point_id: wiring.protected(request.database, point_id).parameters,
        points=wiring.points,
        holds=wiring.holds,
    )
