"""Let recovery points expire whose time is over, and remove what is left of them."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.pruning import Pruned, PruneRequest
from holdfast.handler import handles
from holdfast.settings import CopySettings
from holdfast.usecases.retention.prune import Pruning, policy_of
from holdfast.usecases.retention.removing import Removal
from holdfast.wiring import Wiring


@handles(PruneRequest)
def handler(request: PruneRequest, context: LambdaContext) -> Pruned:
    """Answer with how far the run has come; the machine invokes it again until it is finished."""
    wiring = Wiring.from_environment(CopySettings)
    database = wiring.database(request.database)
    provider = wiring.snapshots(database)
    return Pruning(
        points=wiring.points,
        holds=wiring.holds,
        restores=wiring.restores,
        executions=wiring.executions,
        scratch=wiring.scratch,
        removal=Removal(archive=wiring.archive, places=wiring.places, provider=provider, now=_now),
        provider=lambda: provider,
        policy=policy_of(database),
        now=_now,
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    ).run(request)


def _now() -> datetime:
    return datetime.now(UTC)
