"""Collect chunks that no recovery point pins."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.retention import Collected, CollectRequest
from holdfast.handler import handles
from holdfast.settings import CopySettings
from holdfast.usecases.retention.collect import Collection
from holdfast.wiring import Wiring


@handles(CollectRequest)
def handler(request: CollectRequest, context: LambdaContext) -> Collected:
    """Answer with how far the collection has come; the machine invokes it again until it is finished."""
    wiring = Wiring.from_environment(CopySettings)
    return Collection(
        points=wiring.points,
        holds=wiring.holds,
        executions=wiring.executions,
        archive=wiring.archive,
        versions=wiring.versions,
        replica=wiring.replica_versions if wiring.settings.replica_bucket else None,
        scratch=wiring.scratch,
        now=lambda: datetime.now(UTC),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    ).run(request)
