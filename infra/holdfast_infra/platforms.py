"""Where the functions run: Lambda in AWS, or this machine's own Python and architecture in the local cloud."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from aws_cdk import aws_lambda as lambda_

from holdfast.errors import BadRequest

HOST = "host"
_LAMBDA = {"al2023-arm64": "arm64", "al2023-x86_64": "x86_64"}
_MACHINES = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "x86_64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Platform:
    """The one thing that differs between the template for AWS and the one for this machine."""

    target: str
    architecture: str
    python: str

    @classmethod
    def named(cls, target: str) -> Platform:
        """Return the platform called *target*; raises `BadRequest` for one that does not exist."""
        if target == HOST:
            return cls(
                HOST, _MACHINES[platform.machine().lower()], f"python{sys.version_info[0]}.{sys.version_info[1]}"
            )
        if target not in _LAMBDA:
            known = ", ".join((*_LAMBDA, HOST))
            raise BadRequest(f"There is no platform {target!r}.", hint=f"Choose one of {known}.")
        return cls(target, _LAMBDA[target], "python3.13")

    @property
    def runtime(self) -> lambda_.Runtime:
        """Return Lambda's name for the Python that the layers are built for."""
        return lambda_.Runtime(self.python, lambda_.RuntimeFamily.PYTHON)

    @property
    def lambda_architecture(self) -> lambda_.Architecture:
        """Return Lambda's name for the processor."""
        return lambda_.Architecture.ARM_64 if self.architecture == "arm64" else lambda_.Architecture.X86_64
