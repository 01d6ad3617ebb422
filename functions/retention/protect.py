"""Protect a recovery point, or no longer."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.protecting import Guarded, ProtectRequest
from holdfast.handler import handles
from holdfast.settings import CopySettings
from holdfast.usecases.retention.protect import Protection
from holdfast.wiring import Wiring


@handles(ProtectRequest)
def handler(request: ProtectRequest, context: LambdaContext) -> Guarded:
    """Answer with how far the run has come; the machine invokes it again until it is finished."""
    wiring = Wiring.from_environment(CopySettings)
    return Protection(
        points=wiring.points,
        holds=wiring.holds,
        executions=wiring.executions,
        archive=wiring.archive,
        versions=wiring.versions,
        legal_holds=wiring.legal_holds,
        scratch=wiring.scratch,
        now=lambda: datetime.now(UTC),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    ).run(request)
