"""Begin a backup: judge the source, take the database's lock and create the point."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.backup import BackupRequest, Started
from holdfast.handler import handles, logger
from holdfast.settings import CatalogueSettings
from holdfast.usecases.snapshot.start import point_of, start_backup
from holdfast.wiring import Wiring


@handles(BackupRequest)
def handler(request: BackupRequest, _context: LambdaContext) -> Started:
    """Answer with the new point; nothing is left behind when the source is refused."""
    wiring = Wiring.from_environment(CatalogueSettings)
    started = start_backup(
        request,
        protected=wiring.protected(request.database, point_of(request)),
        points=wiring.points,
        holds=wiring.holds,
        executions=wiring.executions,
    )
    logger().info(started.workers_why)
    return started
