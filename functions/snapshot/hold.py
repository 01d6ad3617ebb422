"""Hold the snapshot of a backup open, and hand it on before time is up."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.backup import HoldAnswer, HoldRequest
from holdfast.handler import handles
from holdfast.settings import CatalogueSettings
from holdfast.usecases.snapshot.hold import Clock, hold_snapshot
from holdfast.usecases.snapshot.protected import Protected
from holdfast.wiring import Wiring


@handles(HoldRequest)
def handler(request: HoldRequest, context: LambdaContext) -> HoldAnswer:
    """Answer the task token when it is time for the successor or all is over; this answer nobody reads."""
    wiring = Wiring.from_environment(CatalogueSettings)

    def protect() -> Protected:
        return wiring.protected(request.database, request.point_id)

    return hold_snapshot(
        request,
        protect=protect,
        points=wiring.points,
        holds=wiring.holds,
        executions=wiring.executions,
        clock=Clock(
            now=lambda: datetime.now(UTC),
            sleep=time.sleep,
            seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
        ),
    )
