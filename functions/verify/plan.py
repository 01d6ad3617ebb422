"""Plan a verification: authenticate the manifest and cut the chunks into batches."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.verify import VerifyPlanned, VerifyRequest
from holdfast.handler import handles
from holdfast.settings import VerifySettings
from holdfast.usecases.verify.plan import plan_verification
from holdfast.wiring import Wiring


@handles(VerifyRequest)
def handler(request: VerifyRequest, _context: LambdaContext) -> VerifyPlanned:
    """Answer with the items that the Map reads."""
    wiring = Wiring.from_environment(VerifySettings)
    return plan_verification(
        request, points=wiring.points, archive=wiring.archive, scratch=wiring.scratch, signer=wiring.signer
    )
