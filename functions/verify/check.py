"""Check one batch: read every chunk of it back and digest its rows."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.verify import CheckRequest
from holdfast.contracts.work import Done
from holdfast.handler import handles
from holdfast.settings import VerifySettings
from holdfast.usecases.verify.check import check_batch
from holdfast.wiring import Wiring


@handles(CheckRequest)
def handler(request: CheckRequest, _context: LambdaContext) -> Done:
    """Answer nothing: the result is a document."""
    wiring = Wiring.from_environment(VerifySettings)
    return check_batch(request, archive=wiring.archive, scratch=wiring.scratch, digest_keys=wiring.digest_keys)
