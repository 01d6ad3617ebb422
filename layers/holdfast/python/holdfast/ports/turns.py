"""Turns: what a provider lets only one change at a time, we change one after the other."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Turns(Protocol):
    """One turn at a time of each thing, over all functions of the system."""

    def turn(self, of: str) -> AbstractContextManager[None]:
        """
        Hold the turn of the thing that *of* names for as long as the block lasts.

        Raises `ProviderBusy` while somebody else has it; it waits for nobody. A turn whose holder died ends by itself.
        Not to be begun again within the block.
        """
