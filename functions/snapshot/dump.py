"""Copy one batch: its ranges as chunks, or everything but rows."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.backup import DumpRequest
from holdfast.contracts.work import Done
from holdfast.handler import handles
from holdfast.settings import CopySettings
from holdfast.usecases.snapshot.access import SnapshotAccess
from holdfast.usecases.snapshot.dump import BatchDump
from holdfast.wiring import Wiring


@handles(DumpRequest)
def handler(request: DumpRequest, context: LambdaContext) -> Done:
    """Answer nothing: the result is a document, for a Map's large result would fail it."""
    wiring = Wiring.from_environment(CopySettings)
    protected = wiring.protected(request.database, request.point_id)
    return BatchDump(
        protected=protected,
        access=SnapshotAccess.of(request, protected, points=wiring.points, holds=wiring.holds),
        points=wiring.points,
        scratch=wiring.scratch,
        archive=wiring.archive,
        now=lambda: datetime.now(UTC),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    ).run(request)
