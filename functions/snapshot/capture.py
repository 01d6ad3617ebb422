"""Make a point of the provider's history or of one of its snapshots."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.capture import Captured, CaptureRequest
from holdfast.counting import count_intact_point
from holdfast.handler import handles, logger
from holdfast.settings import CatalogueSettings
from holdfast.usecases.capture.capture import Capture
from holdfast.wiring import Wiring


@handles(CaptureRequest)
def handler(request: CaptureRequest, _context: LambdaContext) -> Captured:
    """Answer with how far it is; the machine invokes it again until it is done."""
    wiring = Wiring.from_environment(CatalogueSettings)
    database = wiring.database(request.database)
    captured = Capture(
        database=database,
        provider=lambda: wiring.providers.of(database),
        points=wiring.points,
        executions=wiring.executions,
        now=lambda: datetime.now(UTC),
        second_region=wiring.configuration.holdfast.second_region or "",
    ).run(request)
    logger().info(captured.sentence)
    if captured.first:
        count_intact_point(wiring.configuration.holdfast.name, captured.database)
    return captured
