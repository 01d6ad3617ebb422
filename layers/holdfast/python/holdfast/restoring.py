"""Build what the steps of a restore work with from the process's wiring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.adapters.counted_archive import CountedArchive
from holdfast.settings import RestoreSettings
from holdfast.usecases.restore.world import World
from holdfast.wiring import Wiring

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def world_of(context: LambdaContext) -> World:
    """Return the ports of this process, and the clock of this invocation; raises `BadConfiguration`."""
    wiring = Wiring.from_environment(RestoreSettings)
    return World(
        archive=CountedArchive(wiring.archive),
        versions=wiring.versions,
        scratch=wiring.scratch,
        points=wiring.points,
        restores=wiring.restores,
        executions=wiring.executions,
        signer=wiring.signer,
        digest_keys=wiring.digest_keys,
        secrets=wiring.secrets,
        configuration=wiring.configuration,
        now=lambda: datetime.now(UTC),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
