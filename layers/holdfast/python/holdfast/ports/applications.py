"""The application that uses a database, where it is hosted: its settings, and a fresh deployment that has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from holdfast.ports.providers import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """
    A variable of the application's environment: never its value.

    *targets* are the environments that it is for. A *managed* one belongs to an integration, which writes it.
    """

    name: str
    targets: tuple[str, ...]
    managed: bool = False
    readable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment; *failure* says, in a sentence, why it serves nobody."""

    id: str
    progress: Progress
    failure: str = ""


class Application(Protocol):
    """
    One application at its host. Raises what a `Provider` raises.

    Variables reach a running application only with its next deployment.
    """

    def variables(self) -> tuple[Variable, ...]:
        """Return what variables there are."""

    def set_variables(self, values: Mapping[str, str]) -> None:
        """
        Give production's variables new values, and make those that are missing.

        May be repeated. Raises `ProviderRefused`, which names the variables and no value, when one is an
        integration's (nothing has been changed then) or was not taken.
        """

    def redeploy(self, name: str) -> Deployment:
        """Ask for a deployment of what production runs now, unless that of this *name* of ours is there."""

    def deployment(self, deployment_id: str) -> Deployment:
        """Return how far a deployment is; available only when it serves production."""
