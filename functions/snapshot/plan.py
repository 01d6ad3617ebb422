"""Plan a backup: list under the snapshot what there is to copy, and cut it into batches."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.backup import Planned, PlanRequest
from holdfast.handler import handles
from holdfast.settings import CopySettings
from holdfast.usecases.snapshot.access import SnapshotAccess
from holdfast.usecases.snapshot.plan import plan_backup
from holdfast.wiring import Wiring


@handles(PlanRequest)
def handler(request: PlanRequest, context: LambdaContext) -> Planned:
    """Answer with the items that the Map reads."""
    wiring = Wiring.from_environment(CopySettings)
    protected = wiring.protected(request.database, request.point_id)
    return plan_backup(
        request,
        kind=wiring.points.get(request.point_id).kind,
        protected=protected,
        access=SnapshotAccess.of(request, protected, points=wiring.points, holds=wiring.holds),
        scratch=wiring.scratch,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
        memory_mb=int(context.memory_limit_in_mb),
    )
