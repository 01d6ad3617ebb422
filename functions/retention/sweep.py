"""Remove frozen copies and their logins that no running backup needs."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from holdfast.contracts.freezing import SweepRequest, Swept
from holdfast.handler import handles
from holdfast.settings import CatalogueSettings
from holdfast.usecases.freezing.sweep import Sweep
from holdfast.wiring import Wiring


@handles(SweepRequest)
def handler(_request: SweepRequest, _context: LambdaContext) -> Swept:
    """Answer with what was removed, and whose copies could not be looked at."""
    wiring = Wiring.from_environment(CatalogueSettings)
    return Sweep(
        configuration=wiring.configuration,
        provider=wiring.providers.of,
        points=wiring.points,
        executions=wiring.executions,
        vault=wiring.vault,
    ).run()
