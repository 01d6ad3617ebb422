"""Remove the copy that a backup was taken of, and the login to it."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.freezing import Thawed, ThawRequest
from holdfast.handler import handles
from holdfast.settings import CatalogueSettings
from holdfast.usecases.freezing.thaw import thaw
from holdfast.wiring import Wiring


@handles(ThawRequest)
def handler(request: ThawRequest, _context: LambdaContext) -> Thawed:
    """Answer with what the provider was asked to remove."""
    wiring = Wiring.from_environment(CatalogueSettings)
    return thaw(
        request,
        system=wiring.configuration.holdfast.name,
        provider=wiring.providers.of(wiring.database(request.database)),
        points=wiring.points,
        vault=wiring.vault,
    )
