"""What the runner needs to know of a deployed function."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MEGABYTE = 1 << 20
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_RESPONSE_BYTES = 6 * MEGABYTE + 2048
INIT_SECONDS = 10.0


@dataclass(frozen=True)
class FunctionSpec:
    """One version of one function: its code, its limits, its environment."""

    name: str
    arn: str
    region: str
    version: str
    handler: str
    runtime: str
    memory_mb: int
    timeout_s: float
    tmp_mb: int
    role: str
    environment: Mapping[str, str]
    package: bytes = field(repr=False)
    layers: tuple[bytes, ...] = field(repr=False)
    log_group: str
    log_format: str
    log_level: str = ""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Name the function and version, whatever its code is at the moment."""
        return (self.region, self.name, self.version)

    def fingerprint(self, digest: Callable[[bytes], str]) -> str:
        """
        Return a text that changes with anything that an execution environment is made from.

        *digest* hashes a package; it is the caller's so that a large layer is hashed once.
        """
        parts = [
            self.identity,
            digest(self.package),
            [digest(layer) for layer in self.layers],
            [self.handler, self.runtime, self.memory_mb, self.timeout_s, self.tmp_mb, self.role],
            [self.log_group, self.log_format, self.log_level],
            sorted(self.environment.items()),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """
    What an invocation came to: the payload, and `function_error` when the function failed.

    A failed function's payload has `errorType` and `errorMessage`, as AWS gives them.
    """

    payload: bytes
    function_error: str | None = None
    log: tuple[str, ...] = ()


def failure(request_id: str, error_type: str, message: str) -> Outcome:
    """Describe a failure that the platform, not the function's code, reports."""
    body = {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    return Outcome(json.dumps(body).encode(), "Unhandled")
