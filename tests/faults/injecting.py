"""Make one call of AWS fail, whichever it is: before it has an effect, or after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import IncompleteReadError, ReadTimeoutError

from holdfast.adapters.aws import Clients
from holdfast.errors import HoldfastError, Permanent, Transient

SERVICES = ("s3", "dynamodb", "kms", "secrets_manager", "step_functions")


class Torn:
    """A body whose connection breaks in the middle, each time it is read."""

    def read(self, size: int | None = None) -> bytes:
        raise IncompleteReadError(actual_bytes=1, expected_bytes=size or 2)

    def close(self) -> None: ...


@dataclass(frozen=True)
class Kind:
    """
    One way to fail: a service's *code*, or no answer (*lost* after the call had its effect), or a *torn* body.

    With *only*, calls of other names are left alone. *expected* is what must come out of a use case; botocore's own
    retries are used up by then.
    """

    name: str
    expected: type[HoldfastError]
    code: str = ""
    status: int = 0
    lost: bool = False
    torn: bool = False
    only: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


KINDS = (
    Kind("throttled", Transient, code="SlowDown", status=503),
    Kind("internal error", Transient, code="InternalError", status=500),
    Kind("expired credentials", Transient, code="ExpiredToken", status=400),
    Kind("no answer", Transient),
    Kind("answer lost", Transient, lost=True),
    Kind("torn body", Transient, torn=True),
    Kind("access denied", Permanent, code="AccessDenied", status=403),
)

NO_SUCH_KEY = Kind("no such key", Permanent, code="NoSuchKey", status=404, only=("GetObject", "HeadObject"))


@dataclass
class Injector:
    """Fail the call with number *at* of those that are made from `arm` on; *hit* names it once it has."""

    kind: Kind
    at: int = 0
    made: int = 0
    hit: str = ""

    def install(self, clients: Clients) -> None:
        for service in SERVICES:
            events = getattr(clients, service).meta.events
            events.register("before-call", self._before)
            events.register("after-call", self._after)

    def arm(self, at: int) -> None:
        self.at, self.made, self.hit = at, 0, ""

    def _due(self, model: Any) -> bool:
        return self.at > 0 and self.made == self.at and not self.hit and bool(model.name)

    def _before(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        self.made += not self.kind.torn
        if not self._due(model) or self.kind.lost or self.kind.torn:
            return None
        if self.kind.only and model.name not in self.kind.only:
            return None
        self.hit = model.name
        if not self.kind.code:
            raise ReadTimeoutError(endpoint_url="https://aws")
        error = {"Code": self.kind.code, "Message": "Injected."}
        parsed = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": self.kind.status, "HTTPHeaders": {}}}
        return AWSResponse("https://aws", self.kind.status, {}, None), parsed

    def _after(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if self.kind.torn:
            # Only bodies can be torn, so only those count.
            self.made += "Body" in parsed
        if not self._due(model):
            return
        if self.kind.lost:
            self.hit = model.name
            raise ReadTimeoutError(endpoint_url="https://aws")
        if self.kind.torn and "Body" in parsed:
            self.hit = model.name
            parsed["Body"] = Torn()


@dataclass
class Rotating(Injector):
    """Fail each call in another way than the one before, from *first* on: each call once, at a fraction of the cost."""

    kinds: tuple[Kind, ...] = KINDS
    first: int = 0

    def arm(self, at: int) -> None:
        self.kind = self.kinds[(at + self.first) % len(self.kinds)]
        super().arm(at)


def swept(injector: Injector, work: Callable[[], Any]) -> tuple[Any, list[str]]:
    """
    Repeat *work*, failing its first call, then its second, and so on, until nothing is left to fail.

    Each repetition finds what the failed ones left, so that the last one shows that they converge. Returns its answer
    and the calls that failed. What comes out must be of the kind's expected class, or the call was retried within.
    """
    failed: list[str] = []
    for at in range(1, 200):
        injector.arm(at)
        answer, error = _tried(work)
        if error is not None:
            assert injector.hit, f"{type(error).__name__} without a fault: {error}"
            assert isinstance(error, injector.kind.expected), f"{injector.hit}: {error!r}"
            failed.append(injector.hit)
            continue
        if injector.made < at:
            injector.arm(0)
            return answer, failed
    raise AssertionError("It never came to an end.")


def _tried(work: Callable[[], Any]) -> tuple[Any, HoldfastError | None]:
    try:
        return work(), None
    except HoldfastError as error:
        return None, error
