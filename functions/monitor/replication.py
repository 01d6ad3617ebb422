"""Look whether the second region has all of each recovery point."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.replicating import Lag, LagRequest
from holdfast.counting import count_lag
from holdfast.handler import handles
from holdfast.settings import SealSettings
from holdfast.usecases.replication.lag import measure_lag
from holdfast.wiring import Wiring

_ENOUGH_MILLISECONDS = 90_000
"""One manifest of millions of chunks takes a minute."""


@handles(LagRequest)
def handler(request: LagRequest, context: LambdaContext) -> Lag:
    """Answer with the lag of one database, and count it for the alarm."""
    wiring = Wiring.from_environment(SealSettings)
    lag = measure_lag(
        request.database,
        points=wiring.points,
        archive=wiring.archive,
        replica=wiring.replica_versions,
        signer=wiring.signer,
        now=datetime.now(UTC),
        enough_time=lambda: context.get_remaining_time_in_millis() > _ENOUGH_MILLISECONDS,
    )
    count_lag(wiring.configuration.holdfast.name, lag.database, lag.seconds)
    return lag
