"""Seal a backup: compare what was captured with the plan, write the manifest and sign it."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.backup import PointRequest, Sealed
from holdfast.handler import handles
from holdfast.settings import SealSettings
from holdfast.usecases.snapshot.access import SnapshotAccess
from holdfast.usecases.snapshot.seal import Sealing
from holdfast.wiring import Wiring


@handles(PointRequest)
def handler(request: PointRequest, context: LambdaContext) -> Sealed:
    """Answer with the counts of the captured point."""
    wiring = Wiring.from_environment(SealSettings)
    protected = wiring.protected(request.database, request.point_id)
    return Sealing(
        protected=protected,
        access=SnapshotAccess.of(request, protected, points=wiring.points, holds=wiring.holds),
        points=wiring.points,
        scratch=wiring.scratch,
        archive=wiring.archive,
        signer=wiring.signer,
        bucket=wiring.settings.archive_bucket or "",
        now=lambda: datetime.now(UTC),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    ).run(request)
