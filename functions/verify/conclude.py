"""Conclude a verification: say whether the point is intact."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.verify import Verdict, VerifyRequest
from holdfast.counting import count_intact_point
from holdfast.handler import handles
from holdfast.settings import VerifySettings
from holdfast.usecases.snapshot.protected import keep_days, kept_until
from holdfast.usecases.verify.conclude import Conclusion
from holdfast.wiring import Wiring


@handles(VerifyRequest)
def handler(request: VerifyRequest, _context: LambdaContext) -> Verdict:
    """Answer with the verdict, faults included: a damaged point is a result here, not an error."""
    wiring = Wiring.from_environment(VerifySettings)
    days = keep_days(wiring.database(request.database))
    verdict = Conclusion(
        points=wiring.points,
        archive=wiring.archive,
        scratch=wiring.scratch,
        signer=wiring.signer,
        digest_keys=wiring.digest_keys,
        now=lambda: datetime.now(UTC),
        retain_until=lambda point: kept_until(point, days),
    ).run(request)
    if verdict.first:
        count_intact_point(wiring.configuration.holdfast.name, verdict.database)
    return verdict
