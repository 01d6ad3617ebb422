"""Have a copy of the database frozen for a backup, and look how far it is."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.freezing import FreezeRequest, Frozen
from holdfast.handler import handles, logger
from holdfast.settings import CatalogueSettings
from holdfast.usecases.freezing.freeze import Freezing
from holdfast.wiring import Wiring


@handles(FreezeRequest)
def handler(request: FreezeRequest, _context: LambdaContext) -> Frozen:
    """Answer with how far it is; the machine invokes it again until it is ready."""
    wiring = Wiring.from_environment(CatalogueSettings)
    database = wiring.database(request.database)
    parameters = wiring.parameters(database)
    frozen = Freezing(
        system=wiring.configuration.holdfast.name,
        database=database,
        provider=wiring.providers.of(database, parameters),
        parameters=parameters,
        points=wiring.points,
        vault=wiring.vault,
        now=lambda: datetime.now(UTC),
    ).run(request)
    logger().info(frozen.sentence)
    return frozen
