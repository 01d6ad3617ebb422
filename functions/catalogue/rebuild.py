"""Make a database's part of the catalogue anew from this region's bucket."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.rebuilding import RebuildRequest, Rebuilt
from holdfast.handler import handles
from holdfast.settings import RebuildSettings
from holdfast.usecases.catalogue.rebuild import Rebuilding
from holdfast.wiring import Wiring


@handles(RebuildRequest)
def handler(request: RebuildRequest, context: LambdaContext) -> Rebuilt:
    """Answer with what has been found; the machine invokes it again until all of the bucket has been looked at."""
    wiring = Wiring.from_environment(RebuildSettings)
    return Rebuilding(
        points=wiring.points,
        archive=wiring.archive,
        versions=wiring.versions,
        signer=wiring.signer,
        digest_keys=wiring.digest_keys,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    ).run(request)
